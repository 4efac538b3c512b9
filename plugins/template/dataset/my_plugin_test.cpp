#include "my_plugin.cpp"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdlib>
#include <map>

namespace {

using Files = std::map<std::string, std::string>;  // text by name

// A folder that goes away, with these files.
class Folder {
 public:
  explicit Folder(const Files& files) {
    std::string name = (std::filesystem::temp_directory_path() / "my_plugin_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    for (const auto& [file, text] : files) std::ofstream(path_ + "/" + file) << text;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

MyPlugin::Options at(const Folder& folder) {
  MyPlugin::Options options;
  options.path = folder.path();
  return options;
}

TEST(MyPlugin, ReadsRowsByIndexInAnyOrder) {
  const Folder folder(Files{{"train.csv", "1,2,0\n3,4,2\n5,6,-1\n"}});
  const MyPlugin data(at(folder));
  EXPECT_EQ(data.size(Split::train), 3);
  EXPECT_EQ(data.size(Split::test), 0);
  EXPECT_TRUE(data.labels(Split::train).equal(torch::tensor({0, 2, -1}, torch::kLong)));
  const foil::Views views = data.read(Split::train, torch::tensor({2, 0, 2}, torch::kLong));
  EXPECT_TRUE(views.at(0).data.equal(torch::tensor({{5., 6.}, {1., 2.}, {5., 6.}}, torch::kFloat)));
}

TEST(MyPlugin, NamesTheLineThatItCannotRead) {
  const Folder folder(Files{{"train.csv", "1,2,0\n3,four,2\n"}});
  try {
    const MyPlugin data(at(folder));
    FAIL() << "accepted";
  } catch (const foil::Error& error) {
    EXPECT_EQ(error.code(), foil::Exit::data);
    EXPECT_EQ(error.what(), folder.path() + "/train.csv:2: 'four' is no number.");
  }
}

TEST(MyPlugin, HasAnotherIdentityWhereANumberDiffers) {
  const Folder one(Files{{"train.csv", "1,2,0\n"}}), other(Files{{"train.csv", "1,3,0\n"}});
  EXPECT_NE(MyPlugin(at(one)).identity(), MyPlugin(at(other)).identity());
  EXPECT_EQ(MyPlugin(at(one)).identity(), MyPlugin(at(one)).identity());
}

}  // namespace
