// SPDX-License-Identifier: BSD-3-Clause
// The median stopping rule of a sweep with prune = "median": which trial is not worth its end.
// Golovin et al., "Google Vizier: a service for black-box optimization", KDD 2017, section 3.
#pragma once

#include "evaluate/measure.h"
#include "study/trial_results.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace foil {

// A headline metric as evaluate.every_epochs measured it while a trial trained.
struct OnlineValue {
  int64_t step = 0, epoch = 0;  // epoch from 1 on
  double value = 0;
};
// By metric, in the order of the rows of metrics.jsonl; `results` say which metrics and what is better.
std::map<std::string, std::vector<OnlineValue>> read_online(const std::string& folder,
                                                            const TrialResults& results);

class Pruning {
 public:
  static constexpr size_t kFewest = 5;  // complete trials that judge another

  // One more that the others are held against: those that never measured online do not count.
  void complete(const std::string& folder, const TrialResults& results);
  // Why the trial that trains in `folder` is to stop: its best value so far is worse than the median, over
  // the complete trials, of the mean of theirs up to that step. Nothing while it is not, or while too few are
  // complete. The metric is the first headline metric that was measured online.
  std::optional<std::string> behind(const std::string& folder) const;

 private:
  std::string metric_;
  Measure measure_;
  TrialResults judged_by_;  // of the first complete trial: what its metrics mean
  std::vector<std::vector<OnlineValue>> complete_;
};

}  // namespace foil
