// SPDX-License-Identifier: BSD-3-Clause
// What a plugin includes: every public header, and the door by which the program comes in.
//
//   FOIL_PLUGIN(plugin) { plugin.loss<InfoNCE>("infonce"); }
//
// The braces hold calls of Plugin's methods (component.h) and run once, when the library is loaded; what is
// thrown there refuses the library with its message. A library says FOIL_PLUGIN once. The macro also writes
// an ELF note that says what the library was built for; the program reads it before it loads the library.
#pragma once

#include <foil/abi.h>
#include <foil/foil.h>

namespace foil::abi {

// An ELF note (Elf64_Nhdr, name, description) of fixed size, so that its bytes lie in the file as written
// here.
struct Note {
  uint32_t name_size = 8;
  uint32_t description_size = 128;
  uint32_t type = 1;
  char name[8] = "foil";
  char description[128] = FOIL_ABI;
};

}  // namespace foil::abi

#define FOIL_PLUGIN(plugin)                                                                                \
  __attribute__((section(".note.foil"), used, aligned(4))) static const ::foil::abi::Note foil_abi_note{}; \
  extern "C" FOIL_API void foil_plugin(::foil::Plugin& plugin)
