// SPDX-License-Identifier: BSD-3-Clause
// Walking the tree, and counting whatever is passed over: nothing is left out in silence.
#include "data/image_tree.h"

#include "data/remarks.h"
#include "run/text.h"

#include <foil/error.h>

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

namespace foil {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTestFolders[] = {"test", "val", "valid", "validation"};

using FolderId = std::pair<dev_t, ino_t>;  // the same for a folder and a link to it

std::optional<FolderId> id_of(const fs::path& folder) {
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0) return std::nullopt;
  return FolderId{about.st_dev, about.st_ino};
}

bool is_hidden(const std::string& name) { return name[0] == '.' || name == "__MACOSX"; }

std::string extension_of(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension;
}

bool is_image(const std::string& extension) {
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// The entries of a folder in byte order.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(*it);
  if (error) fail(Exit::data, printable(folder.string()), ": cannot be read: ", error.message(), ".");
  std::sort(entries.begin(), entries.end());
  return entries;
}

class Lister {
 public:
  explicit Lister(const ImageTreeOptions& options) : options_(options), root_(options.path) {}

  ImageTree list() {
    const fs::path train = options_.flat ? root_ : root_ / "train";
    std::error_code ignored;
    if (!fs::is_directory(train, ignored)) {
      fail(Exit::data, printable(train.string()), ": no such folder",
           options_.flat ? "." : "; if the class folders lie in data.path itself, set data.flat = true.");
    }
    tree_.train.folder = train.string();
    if (!options_.flat) choose_test();
    find_classes();
    for (ImageTree::Split* split : {&tree_.train, &tree_.test}) {
      if (!split->folder.empty()) list(*split);
    }
    if (tree_.train.files.empty()) fail(Exit::data, printable(tree_.train.folder), ": holds no image.");
    tell();
    return std::move(tree_);
  }

 private:
  std::string shown(const fs::path& path) const { return path.lexically_relative(root_).string(); }

  // The test split, and a word on what else lies beside the training split.
  void choose_test() {
    for (const char* name : kTestFolders) {
      std::error_code ignored;
      if (tree_.test.folder.empty() && fs::is_directory(root_ / name, ignored))
        tree_.test.folder = (root_ / name).string();
    }
    for (const fs::directory_entry& entry : entries_of(root_)) {
      const std::string name = entry.path().filename().string();
      std::error_code ignored;
      const bool chosen = entry.path() == tree_.train.folder || entry.path() == tree_.test.folder;
      if (!chosen && !is_hidden(name) && entry.is_directory(ignored)) other_splits_.add(name + "/");
    }
  }

  // The class folders of both splits. What leads to the data, and the data itself, is not entered by a link
  // from inside a class.
  void find_classes() {
    std::set<std::string> names;
    for (const ImageTree::Split* split : {&tree_.train, &tree_.test}) {
      if (split->folder.empty()) continue;
      std::map<FolderId, std::string> known;
      close(split->folder);
      for (const std::string& name : class_folders(split->folder)) {
        const fs::path folder = fs::path(split->folder) / name;
        names.insert(name);
        const std::optional<FolderId> id = id_of(folder);
        if (!id) continue;
        if (const auto [other, is_new] = known.emplace(*id, name); !is_new) {
          fail(Exit::data, printable(folder.string()), ": the same folder as the class '",
               printable(other->second), "', and an image has one class.");
        }
        close(folder);
      }
    }
    tree_.classes.assign(names.begin(), names.end());
  }

  void close(const fs::path& folder) {
    std::error_code ignored;
    const fs::path place = fs::canonical(folder, ignored);
    if (!place.empty()) closed_.push_back(place);
  }

  // Whether one of two folders leads to the other, or both are one.
  static bool lead_to_each_other(const fs::path& a, const fs::path& b) {
    const auto [at_a, at_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    return at_a == a.end() || at_b == b.end();
  }

  // Whether a folder met inside a class is to be read there.
  bool enters(const fs::directory_entry& entry) {
    std::error_code error;
    if (entry.is_symlink(error)) {
      const fs::path target = fs::canonical(entry.path(), error);
      for (const fs::path& closed : closed_) {
        if (lead_to_each_other(closed, target)) return false;
      }
    }
    const std::optional<FolderId> id = id_of(entry.path());
    return id && visited_.insert(*id).second;
  }

  // The names of the folders in a split, byte-sorted, without hidden ones; images that lie beside them are
  // counted.
  std::vector<std::string> class_folders(const fs::path& folder) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : entries_of(folder)) {
      const std::string name = entry.path().filename().string();
      std::error_code error;
      const bool is_folder = entry.is_directory(error);
      if (is_hidden(name)) {
        hidden_.add(shown(entry.path()));
      } else if (is_folder) {
        names.push_back(name);
      } else if (is_image(extension_of(entry.path()))) {
        outside_.add(shown(entry.path()));
      }
    }
    if (names.empty()) fail(Exit::data, printable(folder.string()), ": no class folders in it.");
    return names;
  }

  void list(ImageTree::Split& split) {
    visited_.clear();
    for (size_t label = 0; label < tree_.classes.size(); ++label) {
      const fs::path folder = fs::path(split.folder) / tree_.classes[label];
      std::error_code ignored;
      if (!fs::is_directory(folder, ignored)) {
        (&split == &tree_.train ? untrained_ : untested_).add(tree_.classes[label]);
        continue;
      }
      std::vector<std::string> files;
      walk(folder, files);
      if (files.empty() && !options_.allow_empty) {
        fail(Exit::data, printable(folder.string()),
             ": no .jpg, .jpeg or .png file in it. Set data.allow_empty = true for a class without images.");
      }
      if (files.empty()) empty_.add(shown(folder));
      std::sort(files.begin(), files.end());
      split.files.insert(split.files.end(), files.begin(), files.end());
      split.label.insert(split.label.end(), files.size(), static_cast<int64_t>(label));
    }
  }

  void walk(const fs::path& folder, std::vector<std::string>& files) {
    for (const fs::directory_entry& entry : entries_of(folder)) {
      const fs::path& path = entry.path();
      if (is_hidden(path.filename().string())) {
        hidden_.add(shown(path));
        continue;
      }
      std::error_code error;
      const fs::file_type type = entry.status(error).type();
      if (type == fs::file_type::directory) {
        if (enters(entry)) {
          walk(path, files);
        } else {
          repeated_.add(shown(path));
        }
      } else if (type == fs::file_type::regular) {
        const std::string extension = extension_of(path);
        if (is_image(extension)) {
          files.push_back(path.string());
        } else {
          ++others_[extension];
        }
      } else if (entry.is_symlink(error)) {
        dangling_.add(shown(path));
      } else {
        special_.add(shown(path));
      }
    }
  }

  void tell() {
    std::vector<std::string>& remarks = tree_.remarks;
    const auto left_out = [&](const Passed& passed, const char* one, const char* many) {
      if (passed.any()) remarks.push_back("left out " + passed.text(one, many));
    };
    const auto odd = [&](const Passed& passed, const char* one, const char* many) {
      if (passed.any()) remarks.push_back(passed.text(one, many));
    };
    tell_others();
    left_out(hidden_, "hidden file or folder", "hidden files or folders");
    left_out(dangling_, "link that leads nowhere", "links that lead nowhere");
    left_out(repeated_, "link to a folder that is read already", "links to folders that are read already");
    left_out(special_, "entry that is neither a file nor a folder",
             "entries that are neither files nor folders");
    left_out(outside_, "image outside of the class folders", "images outside of the class folders");
    left_out(other_splits_, "folder that is no split", "folders that are no split");
    odd(empty_, "class folder without an image", "class folders without an image");
    odd(untrained_, "class in the test split only", "classes in the test split only");
    if (!tree_.test.folder.empty())
      odd(untested_, "class in the training split only", "classes in the training split only");
  }

  // "left out 12 files of other kinds (.bmp 9, .txt 3)", the most frequent kinds first.
  void tell_others() {
    std::vector<std::pair<int64_t, std::string>> kinds;
    int64_t count = 0;
    for (const auto& [extension, files] : others_) {
      kinds.emplace_back(-files, extension.empty() ? "no extension" : printable(extension));
      count += files;
    }
    if (count == 0) return;
    std::sort(kinds.begin(), kinds.end());
    std::string text = "left out " + std::to_string(count) +
                       (count == 1 ? " file of another kind (" : " files of other kinds (");
    for (size_t i = 0; i < std::min(kinds.size(), Passed::kExamples); ++i) {
      text += (i ? ", " : "") + kinds[i].second + " " + std::to_string(-kinds[i].first);
    }
    tree_.remarks.push_back(text + (kinds.size() > Passed::kExamples ? ", ...)" : ")"));
  }

  const ImageTreeOptions& options_;
  fs::path root_;
  ImageTree tree_;
  std::vector<fs::path> closed_;           // canonical folders of the splits and classes
  std::set<FolderId> visited_;             // in the split at hand
  std::map<std::string, int64_t> others_;  // files by extension
  Passed hidden_, dangling_, repeated_, special_, outside_, other_splits_, empty_, untrained_, untested_;
};

}  // namespace

ImageTree list_images(const ImageTreeOptions& options) { return Lister(options).list(); }

}  // namespace foil
