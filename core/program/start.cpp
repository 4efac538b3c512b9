// SPDX-License-Identifier: BSD-3-Clause
#include "program/start.h"

#include "config/dump.h"
#include "run/cores.h"
#include "run/text.h"

#include <torch/types.h>

#include <cstdio>

namespace foil {

Trial pick_trial(const std::string& file, const std::vector<std::string>& sets, const std::string& name) {
  std::vector<std::string> known;
  for (Trial& trial : load_trials(file, sets)) {
    if (name.empty() || trial.name == name) return std::move(trial);
    known.push_back(trial.name);
  }
  fail(Exit::usage, file, ": unknown trial '", name, "'.", known_names("trials", name, known));
}

Checkpoint find_checkpoint(const std::string& run, const std::string& path) {
  if (!path.empty()) return Checkpoints::load(path);
  const auto say = [](const std::string& line) {
    std::fprintf(stderr, "%s\n", printable_lines(line).c_str());
  };
  std::optional<Checkpoint> newest = Checkpoints(run + "/checkpoints", 1).load_newest(say);
  if (!newest) fail(Exit::data, run, ": has no checkpoint.");
  return std::move(*newest);
}

at::Device choose_device(const std::string& asked, int local_rank) {
  const bool there = torch::cuda::is_available();
  if (asked == "cuda" && !there)
    fail(Exit::usage, "--device cuda: no CUDA device is there, or this foil was built without CUDA.");
  if (asked == "cpu" || !there) return at::kCPU;
  return at::Device(at::kCUDA,
                    static_cast<at::DeviceIndex>(local_rank % static_cast<int>(torch::cuda::device_count())));
}

void set_threads(const Plan& plan, const Launch& launch) {
  const int cores = usable_cores();
  at::set_num_threads(plan.run.threads > 0 ? static_cast<int>(plan.run.threads)
                                           : std::max(1, cores / launch.local_world_size));
  at::globalContext().setDeterministicAlgorithms(plan.run.deterministic, /*warn_only=*/false);
}

std::string record_of(const Plan& plan) {
  for (const auto& [key, value] : flatten(plan.resolved)) {
    if (is_utf8(value)) continue;
    const Node* node = at_path(plan.resolved, key);
    fail(Exit::usage, node ? node->origin.text() : "the experiment", ": ", key, " = ", value,
         ", allowed: UTF-8, as the record of the run is.");
  }
  return dump(plan.resolved, false);
}

}  // namespace foil
