// SPDX-License-Identifier: BSD-3-Clause
// Which files of a tree are images of which class, and what else lies there. Opens no image.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace foil {

struct ImageTree {
  struct Split {
    std::string folder;  // empty = there is no such split
    std::vector<std::string> files;
    std::vector<int64_t> label;
  };
  Split train, test;
  std::vector<std::string> classes;  // names of their folders, in byte order
  std::vector<std::string> remarks;  // as in Remarks
};

struct ImageTreeOptions {
  std::string path;
  bool flat = false;         // the class folders lie in `path` itself
  bool allow_empty = false;  // a class folder may hold no image
};

// Lists path/train and the first of path/test, path/val, path/valid, path/validation. Links are followed, but
// never to a folder that leads to the data or is a class of its own, and no folder is visited twice for one
// split. Every failure is an Error (Exit::data) that names the folder.
ImageTree list_images(const ImageTreeOptions& options);

}  // namespace foil
