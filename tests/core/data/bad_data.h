// SPDX-License-Identifier: BSD-3-Clause
// Good data, damaged: each case with its whole message and exit code.
#pragma once

#include "files.h"

#include <functional>

namespace foil::test {

// "FOLDER" in the message stands for the temporary folder.
struct Case {
  const char* name;
  std::function<void(const Folder&)> damage;  // of a folder that make() had filled well
  const char* message;
};

// Makes the data good, checks that it is, damages it, and compares the message.
inline void expect_messages(const std::vector<Case>& cases, const std::function<void(const Folder&)>& make,
                            const std::function<void(const Folder&)>& use) {
  for (const Case& item : cases) {
    const Folder folder;
    make(folder);
    ASSERT_EQ(error_of([&] { use(folder); }), "no error") << item.name;
    item.damage(folder);
    std::string got = error_of([&] { use(folder); });
    for (size_t at; (at = got.find(folder.path())) != std::string::npos;)
      got.replace(at, folder.path().size(), "FOLDER");
    EXPECT_EQ(got, item.message) << item.name;
  }
}

inline Bytes cut(Bytes bytes, size_t at) {
  bytes.resize(at);
  return bytes;
}

inline Bytes flipped(Bytes bytes, size_t at) {
  bytes.at(at) ^= 0x5A;
  return bytes;
}

}  // namespace foil::test
