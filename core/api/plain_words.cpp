// SPDX-License-Identifier: BSD-3-Clause
#include "api/plain_words.h"

#include <c10/util/Exception.h>

#include <new>

namespace foil {

std::string plain_words(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error)) return "out of memory";
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  if (!of_torch) return error.what();
  std::string text = of_torch->what_without_backtrace();
  const std::string asked = "you tried to allocate ";
  if (const size_t at = text.find(asked);
      at != std::string::npos && text.find("alloc_cpu") != std::string::npos) {
    const size_t from = at + asked.size();
    return "out of memory: " + text.substr(from, text.find(" bytes", from) - from) + " bytes were asked for";
  }
  // "[enforce fail at FILE.cpp:12] condition. message": the message.
  if (text.starts_with("[enforce fail at ")) {
    if (const size_t end = text.find("] "); end != std::string::npos) text = text.substr(end + 2);
  }
  return text.substr(0, text.find("\nException raised from "));
}

namespace detail {

void rethrow_in_plain_words(const std::string& what) {
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::exception& error) {
    fail(Exit::failure, what, ": ", plain_words(error));
  }
}

}  // namespace detail
}  // namespace foil
