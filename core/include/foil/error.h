// SPDX-License-Identifier: BSD-3-Clause
// The one error channel: throw foil::Error with a message that says the place, what was got, what is allowed,
// and the nearest name.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// Visible across shared libraries: exceptions and type information must be the same object in libfoil.so and
// in every plugin.
#define FOIL_API __attribute__((visibility("default")))

namespace foil {

// The exit codes of the program; an Error carries the one that fits its cause.
enum class Exit : int {
  ok = 0,
  failure = 1,     // anything without a code of its own
  usage = 2,       // command line or experiment file
  plugin = 3,      // a plugin was refused
  non_finite = 4,  // stopped as non-finite or collapsed
  data = 5,        // data missing or corrupt
  again = 75,      // stopped by SIGTERM or SIGUSR1 after a checkpoint: run me again
  interrupted = 130
};

// What went wrong, as a message for the person at the keyboard, and the exit code that the program ends with
// if nobody catches it.
class FOIL_API Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, Exit code = Exit::failure, std::string key = {})
      : std::runtime_error(message), code_(code), key_(std::move(key)) {}
  Exit code() const { return code_; }
  // The option that refuse() refused; the host, which knows where it was written, puts the place before the
  // message. Else empty.
  const std::string& key() const { return key_; }

 private:
  Exit code_;
  std::string key_;
};

// Throws an Error whose message is its arguments, streamed one after another.
template <class... Parts>
[[noreturn]] void fail(Exit code, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(text.str(), code);
}

// Refuses the value `got` of an option for a reason that no range can say: that of another option, or of the
// data. `key` is the option as its component calls it ("widths"), `allowed` completes "KEY = GOT, allowed:
// ...", without a full stop. Throws Error (Exit::usage), to which the host adds file, line and column.
template <class Got>
[[noreturn]] void refuse(const std::string& key, const Got& got, std::string_view allowed) {
  std::ostringstream text;
  text << key << " = " << got << ", allowed: " << allowed << ".";
  throw Error(text.str(), Exit::usage, key);
}

// The name in `known` that a misspelt `got` most likely meant, by Damerau-Levenshtein distance (at most a
// third of its length, at least 2), else the first that begins with it, spelling aside ("vonmises":
// "von_mises_fisher"); empty when none is near.
FOIL_API std::string nearest(std::string_view got, const std::vector<std::string>& known);

// " Known WHAT: a, b, c. Did you mean 'b'?": the tail of every unknown-name message. The last sentence only
// when a name is near.
FOIL_API std::string known_names(std::string_view what, std::string_view got,
                                 const std::vector<std::string>& known);

}  // namespace foil
