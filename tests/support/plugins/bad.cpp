// SPDX-License-Identifier: BSD-3-Clause
// Libraries that are refused, each for one reason, and one that is not: BAD_NAME says which this is. Loading
// any of them leaves a mark: the constructor creates the file that FOIL_TEST_MARKER names.
#include <foil/abi.h>

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace {

constexpr std::string_view name = BAD_NAME;

// Uses up any stack: each call keeps a page of it until the next one has returned.
int overflow(int depth) {
  volatile char page[4096];
  page[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : overflow(depth + 1) + page[0];
}

__attribute__((constructor)) void leave_a_mark() {
  if (const char* file = std::getenv("FOIL_TEST_MARKER")) ::close(::open(file, O_CREAT | O_WRONLY, 0644));
}

}  // namespace

#ifndef BAD_WITHOUT_NOTE
#ifndef BAD_NOTE
#define BAD_NOTE FOIL_ABI
#endif
// The note as foil/plugin.h writes it.
struct Note {
  uint32_t name_size = 8, description_size = 128, type = 1;
  char owner[8] = "foil";
  char description[128] = BAD_NOTE;
};
__attribute__((section(".note.foil"), used, aligned(4))) static const Note note{};
#endif

#ifdef BAD_UNDEFINED
extern "C" void nobody_defines_this();
#endif

#ifndef BAD_WITHOUT_ENTRY
extern "C" void foil_plugin(void*) {
#ifdef BAD_UNDEFINED
  nobody_defines_this();
#endif
  if (name == "throws") throw std::runtime_error("no luck today");
  if (name == "throws_a_number") throw 42;
  if (name == "crashes") ::raise(SIGSEGV);
  if (name == "leaves") ::_exit(7);
  if (name == "overflows") std::exit(overflow(0));
}
#endif
