// SPDX-License-Identifier: BSD-3-Clause
// Python beside a test: the truth of other libraries.
#pragma once

#include "run/file.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace foil::test {

// Standard output of a Python program with its arguments; its failure, or a missing Python, fails the test.
inline std::string run_python(const TempFolder& scratch, const std::string& program,
                              const std::string& arguments) {
  const char* python = std::getenv("FOIL_PYTHON");
  if (!python) {
    ADD_FAILURE() << "FOIL_PYTHON is not set: run this by ctest";
    return "";
  }
  scratch.write("program.py", program);
  const std::string command = std::string(python) + " " + (scratch / "program.py") + " " + arguments + " > " +
                              (scratch / "out.txt") + " 2> " + (scratch / "err.txt");
  if (std::system(command.c_str()) != 0) ADD_FAILURE() << command << "\n" << read_file(scratch / "err.txt");
  return read_file(scratch / "out.txt");
}

}  // namespace foil::test
