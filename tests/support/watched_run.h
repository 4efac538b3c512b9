// SPDX-License-Identifier: BSD-3-Clause
// What a finished or broken run left, and a wait that cannot hang: for the tests of the whole program.
#pragma once

#include "run/file.h"
#include "run/metrics.h"
#include "run/safetensors.h"
#include "tests/support/run_foil.h"

#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <algorithm>
#include <map>
#include <optional>

namespace foil {

// Waits for a program at most `seconds`; then ends it, and the test fails.
inline Outcome wait_within(const Workplace& place, pid_t pid, int seconds = 1800) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0) {
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "no end after " << seconds << " s: " << slurp(place.folder / "stderr.txt");
      ::kill(-pid, SIGKILL);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return place.wait(pid);
}

inline Outcome foil_within(const Workplace& place, const std::vector<std::string>& arguments,
                           const std::vector<std::string>& env = {}) {
  return wait_within(place, place.start_foil(arguments, env));
}

// Files of `folder` whose names end so, in byte order; none while there is no such folder.
inline std::vector<std::filesystem::path> files_ending(const std::filesystem::path& folder,
                                                       const std::string& ending) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator(folder, error);
       !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path().filename().string().ends_with(ending)) files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The run of small_experiment() in a workplace.
struct RunView {
  std::filesystem::path folder;
  explicit RunView(const Workplace& place, const std::string& output = "runs")
      : folder(place.folder / output / "small" / "seed0") {}

  std::string metrics() const { return slurp(folder / "metrics.jsonl"); }
  int64_t rows() const {
    const std::string text = metrics();
    return std::count(text.begin(), text.end(), '\n');
  }
  std::vector<double> losses() const {
    std::vector<double> values;
    for (const nlohmann::json& row : read_metrics((folder / "metrics.jsonl").string()))
      values.push_back(row["loss"]);
    return values;
  }
  std::vector<std::filesystem::path> checkpoints() const {
    return files_ending(folder / "checkpoints", ".json");
  }
  std::filesystem::path newest_tensors() const {
    auto path = checkpoints().back();
    return path.replace_extension(".safetensors");
  }
  // The whole state after the last step but the generators, of which there is one a rank.
  std::map<std::string, at::Tensor> state() const {
    auto tensors = load_tensors(newest_tensors().string()).tensors;
    std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("generator."); });
    return tensors;
  }
  nlohmann::json results() const { return nlohmann::json::parse(slurp(folder / "results.json")); }
  nlohmann::json status() const { return nlohmann::json::parse(slurp(folder / "status")); }
};

// Every value within `relative` of the wanted one.
inline void expect_same_losses(const std::vector<double>& got, const std::vector<double>& wanted,
                               double relative) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], wanted[i], relative * std::abs(wanted[i])) << "row " << i;
}

// Every tensor within `relative` of the wanted one's largest entry.
inline void expect_same_state(const std::map<std::string, at::Tensor>& got,
                              const std::map<std::string, at::Tensor>& wanted, double relative) {
  ASSERT_EQ(got.size(), wanted.size());
  for (const auto& [name, tensor] : wanted) {
    ASSERT_TRUE(got.count(name)) << name;
    const double scale = std::max(tensor.to(torch::kDouble).abs().max().item<double>(), 1e-12);
    EXPECT_LE((got.at(name).to(torch::kDouble) - tensor.to(torch::kDouble)).abs().max().item<double>(),
              relative * scale)
        << name;
  }
}

}  // namespace foil
