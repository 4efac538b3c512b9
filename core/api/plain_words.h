// SPDX-License-Identifier: BSD-3-Clause
// An exception of any library as words for a person: without LibTorch's trace.
#pragma once

#include <foil/error.h>

#include <exception>
#include <utility>

namespace foil {

// The message alone: no trace of the stack, no place in a library's source; memory that ran out as such, with
// the bytes asked for.
std::string plain_words(const std::exception& error);

namespace detail {
[[noreturn]] void rethrow_in_plain_words(const std::string& what);
}

// f(), with what is thrown as one Error (Exit::failure unless it is one already), led by `what`. CUDA's out
// of memory passes as it is: callers free memory and try again.
template <class F>
auto in_plain_words(const std::string& what, F&& f) -> decltype(f()) {
  try {
    return std::forward<F>(f)();
  } catch (const std::exception&) {
    detail::rethrow_in_plain_words(what);
  }
}

}  // namespace foil
