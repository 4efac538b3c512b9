// SPDX-License-Identifier: BSD-3-Clause
// What is refused, why, and that nothing of it ran. FOIL_TEST_BAD is the folder of the libraries of
// tests/support/plugins/bad.cpp.
#include "plugins/folders.h"
#include "plugins/loader.h"
#include "plugins/scan.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

#include <elf.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

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
  void SetUp() override { ::setenv("FOIL_TEST_MARKER", marker().c_str(), 1); }

  fs::path marker() const { return folder_ / "loaded"; }
  bool something_ran() const { return fs::exists(marker()); }

  std::string write(const std::string& name, const std::string& bytes) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    fs::permissions(path, fs::perms::group_write | fs::perms::others_write, fs::perm_options::remove);
    return path;
  }
  // A library of bad.cpp, copied: the loader of the system takes two equal paths for one library.
  std::string copy(const std::string& name) {
    return write(name + ".so", bytes_of(fs::path(FOIL_TEST_BAD) / (name + ".so")));
  }

  // The whole message of the refusal, the folder's name cut off.
  std::string refusal(const std::string& path, bool trust = false) {
    return without_folder(
        foil::test::refusal([&] { foil::load_plugin(path, registry_, trust); }, foil::Exit::plugin));
  }
  std::string without_folder(std::string text) const {
    const std::string prefix = folder_.string() + "/";
    for (size_t at; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
    return text;
  }

  const foil::test::TempFolder home_;
  const fs::path folder_ = home_.path();
  foil::Registry registry_;
};

TEST_F(Loader, ReadsTheNoteOfAPluginWithoutLoadingIt) {
  EXPECT_EQ(foil::plugin_abi(copy("good")), foil::program_abi());
  EXPECT_FALSE(something_ran());
}

TEST_F(Loader, LoadsAPluginWhichLeavesTheMarkThatRefusedOnesMustNot) {
  EXPECT_EQ(refusal(copy("good")), "no error");
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
  EXPECT_EQ(refusal(copy("no_plugin")),
            "no_plugin.so: is a shared library but not a foil plugin (no FOIL_PLUGIN in it).");
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
    EXPECT_EQ(refusal(copy(name)), std::string(name) + ".so: built for [foil-api 0123456789ab | torch " +
                                       version + " | gcc 12 | c++11-abi | cuda none], this program is [" +
                                       foil::program_abi() +
                                       "]. Rebuild: cmake --build its build folder, against this foil.");
    EXPECT_FALSE(something_ran()) << name;
  }
}

TEST_F(Loader, RefusesATruncatedPluginWithoutRunningIt) {
  const std::string good = bytes_of(fs::path(FOIL_TEST_BAD) / "good.so");
  for (const size_t size : {size_t{40}, size_t{200}, good.size() / 2, good.size() - 1}) {
    EXPECT_EQ(refusal(write("short.so", good.substr(0, size))),
              "short.so: damaged: it ends before its own headers say.")
        << size;
    EXPECT_FALSE(something_ran()) << size;
  }
}

TEST_F(Loader, RefusesSectionHeadersPastTheEnd) {
  std::string bytes = bytes_of(fs::path(FOIL_TEST_BAD) / "good.so");
  for (const uint64_t offset : {bytes.size() - 8, bytes.size() + 64, ~uint64_t{0} - 8}) {
    reinterpret_cast<Elf64_Ehdr*>(bytes.data())->e_shoff = offset;
    EXPECT_EQ(refusal(write("past.so", bytes)), "past.so: damaged: it ends before its own headers say.")
        << offset;
    EXPECT_FALSE(something_ran()) << offset;
  }
}

TEST_F(Loader, LoadsAStrippedPluginAndOneWithoutSectionHeaders) {
  const std::string stripped = copy("good");
  ASSERT_EQ(std::system(("strip --strip-all " + stripped).c_str()), 0);
  EXPECT_EQ(refusal(stripped), "no error");
  std::string bytes = bytes_of(fs::path(FOIL_TEST_BAD) / "good.so");
  auto* header = reinterpret_cast<Elf64_Ehdr*>(bytes.data());
  header->e_shoff = header->e_shnum = header->e_shstrndx = 0;
  EXPECT_EQ(refusal(write("without.so", bytes)), "no error");
}

TEST_F(Loader, RefusesAFileThatOthersMayWriteUnlessTrusted) {
  const std::string path = copy("good");
  fs::permissions(path, fs::perms::others_write, fs::perm_options::add);
  EXPECT_EQ(refusal(path), "good.so: others may write this file. chmod o-w it, or say --trust.");
  EXPECT_FALSE(something_ran());
  EXPECT_EQ(refusal(path, true), "no error");
}

TEST_F(Loader, RefusesAFileThatItsGroupMayWriteUnlessTrusted) {
  if (::geteuid() != 0) return;  // anyone else may have a group of their own
  const std::string path = copy("good");
  fs::permissions(path, fs::perms::group_write, fs::perm_options::add);
  const std::string group = ::getgrgid(::getegid())->gr_name;
  EXPECT_EQ(refusal(path),
            "good.so: the group " + group + " may write this file. chmod g-w it, or say --trust.");
  EXPECT_FALSE(something_ran());
  EXPECT_EQ(refusal(path, true), "no error");
}

TEST_F(Loader, RefusesAFileInAFolderThatOthersMayWriteUnlessItIsSticky) {
  fs::create_directories(folder_ / "open/plugins");
  const std::string path = write("open/plugins/good.so", bytes_of(fs::path(FOIL_TEST_BAD) / "good.so"));
  const std::string refused = "open/plugins/good.so: others may write its folder " + folder_.string() +
                              "/open. chmod o-w it, or say --trust.";
  fs::permissions(folder_ / "open", fs::perms::all);
  EXPECT_EQ(refusal(path), without_folder(refused)) << "a folder on the way";
  fs::create_directory_symlink(folder_ / "open", folder_ / "link");
  EXPECT_EQ(refusal((folder_ / "link/plugins/good.so").string()), "link/" + without_folder(refused).substr(5))
      << "by a link";
  EXPECT_FALSE(something_ran());
  fs::permissions(folder_ / "open", fs::perms::all | fs::perms::sticky_bit);
  EXPECT_EQ(refusal(path), "no error") << "sticky, and the file is ours";
  fs::permissions(folder_ / "open", fs::perms::owner_all);
  fs::permissions(folder_ / "open/plugins", fs::perms::all);
  const std::string other = write("open/plugins/throws.so", bytes_of(fs::path(FOIL_TEST_BAD) / "throws.so"));
  EXPECT_NE(refusal(other).find("others may write its folder "), std::string::npos) << refusal(other);
  EXPECT_EQ(refusal(other, true), "open/plugins/throws.so: its registration threw: no luck today.");
}

TEST_F(Loader, RefusesWhatBelongsToAnotherUserUnlessTrusted) {
  if (::geteuid() != 0) return;  // only root can give a file away
  const std::string path = copy("good");
  ASSERT_EQ(::chown(path.c_str(), 54321, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(refusal(path), "good.so: this file belongs to the user 54321. chown it, or say --trust.");
  ASSERT_EQ(::chown(path.c_str(), 0, static_cast<gid_t>(-1)), 0);
  ASSERT_EQ(::chown(folder_.c_str(), 54321, static_cast<gid_t>(-1)), 0);
  EXPECT_NE(refusal(path).find("belongs to the user 54321."), std::string::npos) << refusal(path);
  fs::permissions(folder_, fs::perms::all | fs::perms::sticky_bit);
  ASSERT_EQ(::chown(folder_.c_str(), 0, static_cast<gid_t>(-1)), 0);
  fs::create_symlink(path, folder_ / "link.so");
  ASSERT_EQ(::lchown((folder_ / "link.so").c_str(), 54321, static_cast<gid_t>(-1)), 0);
  EXPECT_NE(refusal((folder_ / "link.so").string()).find("belongs to the user 54321."), std::string::npos);
  EXPECT_FALSE(something_ran());
  EXPECT_EQ(refusal((folder_ / "link.so").string(), true), "no error");
}

TEST_F(Loader, RefusesWhatIsNoRegularFileAndWaitsForNothing) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo.so").c_str(), 0600), 0);
  fs::create_directory(folder_ / "folder.so");
  fs::create_symlink("/dev/zero", folder_ / "device.so");
  fs::create_symlink("nowhere", folder_ / "dangling.so");
  const auto refused = foil::load_plugins({folder_.string()}, registry_);
  ASSERT_EQ(refused.size(), 4u);
  EXPECT_EQ(without_folder(refused[0].reason).substr(0, 28), "dangling.so: does not exist.");
  EXPECT_EQ(without_folder(refused[1].reason), "device.so: is no regular file, allowed: a shared library.");
  EXPECT_EQ(without_folder(refused[2].reason), "fifo.so: is no regular file, allowed: a shared library.");
  EXPECT_EQ(without_folder(refused[3].reason), "folder.so: is a folder, allowed: a shared library.");
}

TEST_F(Loader, BelievesNoSizeInAFile) {
  std::string bytes = bytes_of(fs::path(FOIL_TEST_BAD) / "good.so");
  const std::string path = write("large.so", bytes);
  fs::resize_file(path, uint64_t{1} << 40);  // a hole, which takes no room on disk and would take all memory
  EXPECT_EQ(foil::plugin_abi(path), foil::program_abi());
  auto* header = reinterpret_cast<Elf64_Ehdr*>(bytes.data());
  auto* segments = reinterpret_cast<Elf64_Phdr*>(bytes.data() + header->e_phoff);
  for (int i = 0; i < header->e_phnum; ++i) {
    if (segments[i].p_type == PT_NOTE) segments[i].p_filesz = uint64_t{1} << 39;
  }
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << bytes;
  EXPECT_EQ(foil::plugin_abi(path), foil::program_abi());
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
  EXPECT_EQ(refusal(write("first.so", infonce)), "no error");
  EXPECT_EQ(refusal(write("second.so", infonce)),
            "second.so: the loss 'infonce' is already registered by first.so.");
}

TEST_F(Loader, RefusesANameThatALibraryRegistersTwice) {
  foil::Component twice;
  twice.kind = "loss";
  twice.name = "mine";
  EXPECT_EQ(foil::test::error_of([&] {
              registry_.add("two.so", {twice, twice});
            }),
            "3 two.so: registers the loss 'mine' twice.");
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

TEST_F(Loader, APluginThatUsesUpTheStackIsNamed) {
  const std::string path = copy("overflows");
  EXPECT_EXIT(foil::load_plugins({folder_.string()}, registry_), ::testing::ExitedWithCode(3),
              "overflows.so: crashed while it was loaded. Remove it or rebuild it; foil plugins lists all.");
}

TEST_F(Loader, SaysOfARefusalThatTheNameIsTaken) {
  write("first.so", bytes_of(FOIL_TEST_PLUGIN));
  write("second.so", bytes_of(FOIL_TEST_PLUGIN));
  write("third.so", "a text");
  const auto refused = foil::load_plugins({folder_.string()}, registry_);
  ASSERT_EQ(refused.size(), 2u);
  EXPECT_TRUE(refused[0].name_taken);
  EXPECT_FALSE(refused[1].name_taken);
}

TEST_F(Loader, AFolderThatIsNotThereIsNamedWithTheNearest) {
  fs::create_directories(folder_ / "build/plugins");
  const std::string folder = folder_.string();
  EXPECT_EQ(foil::no_such_folder(folder + "/build/plugins"), "");
  EXPECT_EQ(foil::no_such_folder(folder + "/build/plugins/"), "");
  EXPECT_EQ(foil::no_such_folder(folder + "/build/plugin"),
            "no such folder: " + folder + "/build/plugin. Did you mean '" + folder + "/build/plugins'?");
  EXPECT_EQ(foil::no_such_folder(folder + "/buidl/plugins"),
            "no such folder: " + folder + "/buidl/plugins. Did you mean '" + folder + "/build'?");
  EXPECT_EQ(foil::no_such_folder(folder + "/elsewhere"), "no such folder: " + folder + "/elsewhere.");
  write("good.so", "a file");
  EXPECT_EQ(foil::no_such_folder(folder + "/good.so"),
            "is no folder: " + folder + "/good.so, allowed: the folder that holds the plugins.");
}

TEST_F(Loader, ARunBringsNoCodeOfItsOwn) {
  fs::create_directories(folder_ / "run/inside");
  fs::create_directories(folder_ / "mine");
  const std::string record = write("run/config.resolved.toml", ""), mine = (folder_ / "mine").string();
  std::vector<foil::Refused> refused;
  const auto allowed = [&](const std::string& folder, bool absolute = true, bool trust = false) {
    refused.clear();
    return foil::folders_of_record(record, {{folder, "PLACE", absolute}}, trust, refused) ==
           std::vector{folder};
  };
  EXPECT_TRUE(allowed(mine));
  EXPECT_FALSE(allowed(mine, false)) << "foil records absolute paths";
  EXPECT_FALSE(allowed((folder_ / "run/inside").string()));
  EXPECT_EQ(refused.at(0).reason, "PLACE: plugins are not loaded from " + folder_.string() +
                                      "/run/inside: a run must not bring its own code. "
                                      "Name the folder in FOIL_PLUGIN_PATH, or say --trust.");
  EXPECT_FALSE(allowed((folder_ / "mine/../run/inside").string()));
  EXPECT_TRUE(allowed((folder_ / "run/inside").string(), false, true)) << "trusted";
  EXPECT_FALSE(allowed((folder_ / "gone").string()));
  EXPECT_TRUE(refused.at(0).reason.starts_with("PLACE: no such folder: ")) << refused.at(0).reason;
  fs::permissions(record, fs::perms::others_write, fs::perm_options::add);
  EXPECT_FALSE(allowed(mine));
  EXPECT_EQ(refused.at(0).reason, "PLACE: plugins are not loaded from " + mine +
                                      ": others may write this file. chmod o-w it, or say --trust.");
}

TEST_F(Loader, AScanReportsWhatCrashesOrLeavesAndGoesOn) {
  copy("crashes");
  copy("leaves");
  copy("overflows");
  copy("throws");
  write("infonce.so", bytes_of(FOIL_TEST_PLUGIN));
  const auto refused = foil::scan_plugins({folder_.string()}, registry_);
  ASSERT_EQ(refused.size(), 4u);
  EXPECT_EQ(without_folder(refused[0].reason),
            "crashes.so: crashed while it was loaded (Segmentation fault).");
  EXPECT_EQ(without_folder(refused[1].reason),
            "leaves.so: ended the process while it was loaded (exit code 7).");
  EXPECT_EQ(without_folder(refused[2].reason),
            "overflows.so: crashed while it was loaded (Segmentation fault).");
  EXPECT_EQ(without_folder(refused[3].reason), "throws.so: its registration threw: no luck today.");
  EXPECT_EQ(registry_.names("loss"), std::vector<std::string>{"infonce"});
}

TEST_F(Loader, AScanFindsANameThatTwoLibrariesUse) {
  write("first.so", bytes_of(FOIL_TEST_PLUGIN));
  write("second.so", bytes_of(FOIL_TEST_PLUGIN));
  const auto refused = foil::scan_plugins({folder_.string()}, registry_);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(without_folder(refused[0].reason),
            "second.so: the loss 'infonce' is already registered by first.so.");
}

}  // namespace
