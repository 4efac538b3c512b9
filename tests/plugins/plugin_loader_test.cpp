// SPDX-License-Identifier: BSD-3-Clause
// Refusals of libraries, made from a real plugin by changing its bytes. FOIL_TEST_PLUGIN is the path of infonce.so in the build.
#include "plugins/loader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace {

namespace fs = std::filesystem;

class Loader : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("foil_loader_" + std::to_string(::getpid()) + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
    std::ifstream in(FOIL_TEST_PLUGIN, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
    ASSERT_GT(bytes_.size(), 1000u);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    fs::permissions(path, fs::perms::group_write | fs::perms::others_write, fs::perm_options::remove);
    return path;
  }
  // The whole message of the refusal, the folder's name cut off.
  std::string refusal(const std::string& path, bool trust = false) {
    try {
      foil::load_plugin(path, registry_, trust);
    } catch (const foil::Error& error) {
      EXPECT_EQ(error.code(), foil::Exit::plugin);
      std::string text = error.what();
      const std::string prefix = folder_.string() + "/";
      if (text.rfind(prefix, 0) == 0) text = text.substr(prefix.size());
      return text;
    }
    return "loaded";
  }

  fs::path folder_;
  std::string bytes_;
  foil::Registry registry_;
};

TEST_F(Loader, ReadsTheNoteOfAPluginWithoutLoadingIt) {
  EXPECT_EQ(foil::plugin_abi(write("infonce.so", bytes_)), foil::program_abi());
}

TEST_F(Loader, RefusesAFileThatDoesNotExistNamingTheNearest) {
  write("infonce.so", bytes_);
  EXPECT_EQ(refusal((folder_ / "infonse.so").string()),
            "infonse.so: does not exist. Known plugins there: infonce.so. Did you mean 'infonce.so'?");
}

TEST_F(Loader, RefusesAFileThatIsNoLibrary) {
  EXPECT_EQ(refusal(write("notes.so", "a text")), "notes.so: is not a shared library (no ELF header).");
}

TEST_F(Loader, RefusesALibraryThatIsNoPlugin) {
  std::ifstream in(FOIL_TEST_LIBRARY, std::ios::binary);
  const std::string other(std::istreambuf_iterator<char>(in), {});
  EXPECT_EQ(refusal(write("other.so", other)), "other.so: is a shared library but not a foil plugin (no FOIL_PLUGIN in it).");
}

TEST_F(Loader, RefusesATruncatedPlugin) {
  for (const size_t size : {size_t{40}, size_t{200}, bytes_.size() / 2}) {
    EXPECT_EQ(refusal(write("short.so", bytes_.substr(0, size))), "short.so: damaged: it ends before its own headers say.") << size;
  }
}

TEST_F(Loader, RefusesAnotherAbiNamingBothSides) {
  const size_t at = bytes_.find("torch 2.");
  ASSERT_NE(at, std::string::npos);
  std::string old = bytes_;
  old.replace(at, 12, "torch 2.10.9");
  std::string built_for = foil::program_abi();
  built_for.replace(built_for.find("torch 2."), 12, "torch 2.10.9");
  EXPECT_EQ(refusal(write("old.so", old)), "old.so: built for [" + built_for + "], this program is [" + foil::program_abi() +
                                               "]. Rebuild: cmake --build its build folder, against this foil.");
}

TEST_F(Loader, RefusesAFileThatOthersMayWriteUnlessTrusted) {
  const std::string path = write("open.so", bytes_);
  fs::permissions(path, fs::perms::others_write, fs::perm_options::add);
  EXPECT_EQ(refusal(path), "open.so: others may write this file. chmod o-w it, or say --trust.");
  EXPECT_EQ(refusal(path, true), "loaded");
}

TEST_F(Loader, RefusesANameThatIsTaken) {
  const std::string first = write("infonce.so", bytes_), second = write("infonce_again.so", bytes_);
  EXPECT_EQ(refusal(first), "loaded");
  EXPECT_EQ(refusal(second), "infonce_again.so: the loss 'infonce' is already registered by " + first + ".");
}

TEST_F(Loader, OneRefusalDoesNotStopTheOthers) {
  write("a.so", "a text");
  write("infonce.so", bytes_);
  const auto refused = foil::load_plugins({folder_.string()}, registry_);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(registry_.names("loss"), std::vector<std::string>{"infonce"});
}

}  // namespace
