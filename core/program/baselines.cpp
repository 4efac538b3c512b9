// SPDX-License-Identifier: BSD-3-Clause
// The evaluator on what nobody trained.
#include "program/baselines.h"

#include "evaluate/results.h"
#include "experiment/evaluation.h"
#include "program/same_study.h"
#include "run/file.h"
#include "run/json.h"
#include "study/trial_results.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

namespace foil {
namespace {

namespace fs = std::filesystem;

// Whether a baseline was measured by the same experiment and, where both are known, on the same data; what is
// damaged was not.
bool measured_before(const std::string& file, const std::string& hash, const std::string& data) {
  try {
    const nlohmann::json results = parse_json(read_record(file), file);
    const std::string had = parse_results(results.dump(), file).data;
    return results.at("config") == hash && (data.empty() || had.empty() || data == had);
  } catch (const std::exception&) {
    return false;
  }
}

// Evaluates without training, unless the same was done before.
void evaluate_baseline(const std::string& folder, const std::string& hash, const std::string& data,
                       const std::function<nlohmann::json()>& measure) {
  const std::string file = folder + "/results.json";
  if (fs::exists(file) && measured_before(file, hash, data)) return;
  fs::create_directories(folder);
  nlohmann::json results = measure();
  results["config"] = hash;
  write_atomically(file, results.dump(2) + "\n");
}

}  // namespace

void measure_baselines(const FindComponent& find, bool quiet, const std::vector<Trial>& trials,
                       const std::string& study, const std::string& data) {
  const std::shared_ptr<World> alone = World::single();
  bool first = true;
  for (const Trial& trial : trials) {
    if (trial.variant != trials.front().variant) continue;
    Plan plan = check(trial.root, find);
    const std::string hash = checksum(config_of(plan));
    const auto measure = [&](bool pixels) {
      if (!quiet)
        std::fprintf(stderr, "baseline: %s seed %ld\n", pixels ? "raw pixels" : "untrained",
                     static_cast<long>(trial.seed));
      Experiment experiment = build(check(trial.root, find), at::kCPU);
      const nlohmann::json measured =
          pixels ? evaluate_pixels(experiment, *alone, {}) : evaluate_tower(experiment, *alone, {});
      return results_of(data_of(experiment), measured, 0, {});
    };
    if (first && !plan.views.several_modalities())
      evaluate_baseline(study + "/baselines/raw-pixels", hash, data, [&] { return measure(true); });
    evaluate_baseline(fmt::format("{}/baselines/untrained-seed{}", study, trial.seed), hash, data,
                      [&] { return measure(false); });
    first = false;
  }
}

}  // namespace foil
