// SPDX-License-Identifier: BSD-3-Clause
// A folder in which the tests of a run's folder and of its lock open runs.
#pragma once

#include "run/run_folder.h"
#include "run_test.h"

namespace foil {

class RunFolderTest : public ::testing::Test {
 protected:
  std::string path() const { return scratch_ / "runs/name/trial"; }
  RunFolder open(const std::string& toml = "a = 1\n", bool restart = false) {
    return RunFolder::open(path(), toml,
                           {restart, [this](const std::string&, const std::string&) { return differences_; },
                            [this](const std::string& text) { said_.push_back(text); }});
  }
  // What makes a run of the folder.
  void add_checkpoint() const {
    std::filesystem::create_directories(path() + "/checkpoints");
    write_plainly(path() + "/checkpoints/step-00000017.json", "{}");
  }
  TempFolder scratch_;
  std::vector<std::string> said_;
  Differences differences_{{"loss.temperature", "run.epochs"}, {}};
};

}  // namespace foil
