// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>

namespace foil::test {

// Tests whose working directory is a folder of their own.
class InTempFolder : public ::testing::Test {
 protected:
  InTempFolder() : before_(std::filesystem::current_path()) { std::filesystem::current_path(folder_.path()); }
  ~InTempFolder() override { std::filesystem::current_path(before_); }

  std::string write(const std::string& name, const std::string& bytes) const {
    return folder_.write(name, bytes);
  }

  const TempFolder folder_;

 private:
  const std::filesystem::path before_;
};

}  // namespace foil::test
