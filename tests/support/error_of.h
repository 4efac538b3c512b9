// SPDX-License-Identifier: BSD-3-Clause
// The error that a call ends in, as a text to compare.
#pragma once

#include <foil/error.h>

#include <gtest/gtest.h>

#include <string>

namespace foil::test {

// Exit code and message of the Error that `call` throws, "5 a.toml: no such file."; "no error" when it
// returns.
template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
  return "no error";
}

// The message alone, of an Error with this exit code.
template <class Call>
std::string refusal(const Call& call, Exit code = Exit::usage) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no error";
}

}  // namespace foil::test
