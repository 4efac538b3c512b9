// SPDX-License-Identifier: BSD-3-Clause
// What is refused, why, and that nothing of it ran. FOIL_TEST_BAD is the folder of the libraries of tests/support/plugins/bad.cpp.
#include "plugins/loader.h"
#include "plugins/scan.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace {

namespace fs = std::filesystem;

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Loader : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "foil_loader_XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    ::setenv("FOIL_TEST_MARKER", marker().c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path marker() const { return folder_ / "loaded"; }
  bool something_ran() const { return fs::exists(marker()); }

  std::string write(const std::string& name, const std::string& bytes) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    fs::permissions(path, fs::perms::group_write | fs::perms::others_write, fs::perm_options::remove);
    return path;
  }
  // A library of bad.cpp, copied: the loader of the system takes two equal paths for one library.
  std::string copy(const std::string& name) { return write(name + ".so", bytes_of(fs::path(FOIL_TEST_BAD) / (name + ".so"))); }

  // The whole message of the refusal, the folder's name cut off.
  std::string refusal(const std::string& path, bool trust = false) {
    try {
      foil::load_plugin(path, registry_, trust);
    } catch (const foil::Error& error) {
      EXPECT_EQ(error.code(), foil::Exit::plugin);
      return without_folder(error.what());
    }
    return "loaded";
  }
  std::string without_folder(std::string text) const {
    const std::string prefix = folder_.string() + "/";
    for (size_t at; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
    return text;
  }

  fs::path folder_;
  foil::Registry registry_;
};

TEST_F(Loader, ReadsTheNoteOfAPluginWithoutLoadingIt) {
  EXPECT_EQ(foil::plugin_abi(copy("good")), foil::program_abi());
  EXPECT_FALSE(something_ran());
}

TEST_F(Loader, LoadsAPluginWhichLeavesTheMarkThatRefusedOnesMustNot) {
  EXPECT_EQ(refusal(copy("good")), "loaded");
  EXPECT_TRUE(something_ran());
}

TEST_F(Loader, RefusesAFileThatDoesNotExistNamingTheNearest) {
  copy("good");
  EXPECT_EQ(refusal((folder_ / "god.so").string()),
            "god.so: does not exist. Known plugins there: good.so. Did you mean 'good.so'?");
}

TEST_F(Loader, RefusesAFileThatIsNoLibrary) {
  EXPECT_EQ(refusal(write("notes.so", "a text")), "notes.so: is not a shared library (no ELF header).");
}

TEST_F(Loader, RefusesALibraryThatIsNoPluginWithoutRunningIt) {
  EXPECT_EQ(refusal(copy("no_plugin")), "no_plugin.so: is a shared library but not a foil plugin (no FOIL_PLUGIN in it).");
  EXPECT_FALSE(something_ran());
}

TEST_F(Loader, RefusesAProgramWithoutRunningIt) {
  std::string program = bytes_of(fs::path(FOIL_TEST_BAD) / "good.so");
  reinterpret_cast<Elf64_Ehdr*>(program.data())->e_type = ET_EXEC;
  EXPECT_EQ(refusal(write("program.so", program)), "program.so: is not a 64-bit shared library.");
  EXPECT_FALSE(something_ran());
}

TEST_F(Loader, RefusesOtherHeadersAndAnotherLibTorchNamingBothSides) {
  for (const auto& [name, version] : {std::pair{"other_headers", "2.11.0"}, {"other_torch", "2.10.0"}}) {
    EXPECT_EQ(refusal(copy(name)), std::string(name) + ".so: built for [foil-api 0123456789ab | torch " + version +
                                       " | gcc 12 | c++11-abi | cuda none], this program is [" + foil::program_abi() +
                                       "]. Rebuild: cmake --build its build folder, against this foil.");
    EXPECT_FALSE(something_ran()) << name;
  }
}

TEST_F(Loader, RefusesATruncatedPluginWithoutRunningIt) {
  const std::string good = bytes_of(fs::path(FOIL_TEST_BAD) / "good.so");
  for (const size_t size : {size_t{40}, size_t{200}, good.size() / 2, good.size() - 1}) {
    EXPECT_EQ(refusal(write("short.so", good.substr(0, size))), "short.so: damaged: it ends before its own headers say.") << size;
    EXPECT_FALSE(something_ran()) << size;
  }
}

TEST_F(Loader, RefusesSectionHeadersPastTheEnd) {
  std::string bytes = bytes_of(fs::path(FOIL_TEST_BAD) / "good.so");
  for (const uint64_t offset : {bytes.size() - 8, bytes.size() + 64, ~uint64_t{0} - 8}) {
    reinterpret_cast<Elf64_Ehdr*>(bytes.data())->e_shoff = offset;
    EXPECT_EQ(refusal(write("past.so", bytes)), "past.so: damaged: it ends before its own headers say.") << offset;
    EXPECT_FALSE(something_ran()) << offset;
  }
}

TEST_F(Loader, LoadsAStrippedPluginAndOneWithoutSectionHeaders) {
  const std::string stripped = copy("good");
  ASSERT_EQ(std::system(("strip --strip-all " + stripped).c_str()), 0);
  EXPECT_EQ(refusal(stripped), "loaded");
  std::string bytes = bytes_of(fs::path(FOIL_TEST_BAD) / "good.so");
  auto* header = reinterpret_cast<Elf64_Ehdr*>(bytes.data());
  header->e_shoff = header->e_shnum = header->e_shstrndx = 0;
  EXPECT_EQ(refusal(write("without.so", bytes)), "loaded");
}

TEST_F(Loader, RefusesAFileThatOthersMayWriteUnlessTrusted) {
  const std::string path = copy("good");
  fs::permissions(path, fs::perms::others_write, fs::perm_options::add);
  EXPECT_EQ(refusal(path), "good.so: others may write this file. chmod o-w it, or say --trust.");
  EXPECT_FALSE(something_ran());
  EXPECT_EQ(refusal(path, true), "loaded");
}

TEST_F(Loader, RefusesAMissingSymbolBeforeAnythingRuns) {
  const std::string text = refusal(copy("undefined"));
  EXPECT_EQ(text.rfind("undefined.so: could not be loaded: ", 0), 0u) << text;
  EXPECT_NE(text.find("undefined symbol: nobody_defines_this"), std::string::npos) << text;
  EXPECT_FALSE(something_ran());
}

TEST_F(Loader, RefusesAPluginWithoutItsEntry) {
  const std::string text = refusal(copy("no_entry"));
  EXPECT_EQ(text.rfind("no_entry.so: could not be loaded: ", 0), 0u) << text;
  EXPECT_NE(text.find("foil_plugin"), std::string::npos) << text;
}

TEST_F(Loader, RefusesARegistrationThatThrows) {
  EXPECT_EQ(refusal(copy("throws")), "throws.so: its registration threw: no luck today.");
  EXPECT_EQ(refusal(copy("throws_a_number")),
            "throws_a_number.so: its registration threw: an exception that is no std::exception.");
}

TEST_F(Loader, RefusesANameThatIsTakenNamingBothLibraries) {
  const std::string infonce = bytes_of(FOIL_TEST_PLUGIN);
  EXPECT_EQ(refusal(write("first.so", infonce)), "loaded");
  EXPECT_EQ(refusal(write("second.so", infonce)), "second.so: the loss 'infonce' is already registered by first.so.");
}

TEST_F(Loader, RefusesANameThatALibraryRegistersTwice) {
  foil::Component twice;
  twice.kind = "loss";
  twice.name = "mine";
  EXPECT_THROW(
      {
        try {
          registry_.add("two.so", {twice, twice});
        } catch (const foil::Error& error) {
          EXPECT_STREQ(error.what(), "two.so: registers the loss 'mine' twice.");
          throw;
        }
      },
      foil::Error);
  EXPECT_TRUE(registry_.all().empty());
}

TEST_F(Loader, OneRefusalDoesNotStopTheOthers) {
  write("a.so", "a text");
  write("infonce.so", bytes_of(FOIL_TEST_PLUGIN));
  const auto refused = foil::load_plugins({folder_.string()}, registry_);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(registry_.names("loss"), std::vector<std::string>{"infonce"});
}

TEST_F(Loader, KeepsWhatALibrarySaysOfItself) {
  const std::string path = write("infonce.so", bytes_of(FOIL_TEST_PLUGIN));
  foil::load_plugin(path, registry_);
  EXPECT_EQ(registry_.about(path).rfind("InfoNCE over V >= 2 views", 0), 0u) << registry_.about(path);
}

TEST_F(Loader, LoadsNothingTwice) {
  write("infonce.so", bytes_of(FOIL_TEST_PLUGIN));
  EXPECT_TRUE(foil::load_plugins({folder_.string()}, registry_).empty());
  EXPECT_TRUE(foil::load_plugins({folder_.string()}, registry_).empty());
}

TEST_F(Loader, ACrashWhilePluginsAreLoadedNamesTheLibrary) {
  const std::string path = copy("crashes");
  EXPECT_EXIT(foil::load_plugins({folder_.string()}, registry_), ::testing::ExitedWithCode(3),
              "crashes.so: crashed while it was loaded. Remove it or rebuild it; foil plugins lists all.");
}

TEST_F(Loader, AScanReportsWhatCrashesOrLeavesAndGoesOn) {
  copy("crashes");
  copy("leaves");
  copy("throws");
  write("infonce.so", bytes_of(FOIL_TEST_PLUGIN));
  const auto refused = foil::scan_plugins({folder_.string()}, registry_);
  ASSERT_EQ(refused.size(), 3u);
  EXPECT_EQ(without_folder(refused[0].reason), "crashes.so: crashed while it was loaded (Segmentation fault).");
  EXPECT_EQ(without_folder(refused[1].reason), "leaves.so: ended the process while it was loaded (exit code 7).");
  EXPECT_EQ(without_folder(refused[2].reason), "throws.so: its registration threw: no luck today.");
  EXPECT_EQ(registry_.names("loss"), std::vector<std::string>{"infonce"});
}

TEST_F(Loader, AScanFindsANameThatTwoLibrariesUse) {
  write("first.so", bytes_of(FOIL_TEST_PLUGIN));
  write("second.so", bytes_of(FOIL_TEST_PLUGIN));
  const auto refused = foil::scan_plugins({folder_.string()}, registry_);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(without_folder(refused[0].reason), "second.so: the loss 'infonce' is already registered by first.so.");
}

}  // namespace
