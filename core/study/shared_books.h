// SPDX-License-Identifier: BSD-3-Clause
// The books of a study that several processes run together: claims while trials run, the store at the end.
#pragma once

#include "study/claims.h"
#include "study/study.h"

#include <chrono>
#include <set>
#include <string>
#include <vector>

namespace foil {

class SharedBooks final : public Books {
 public:
  // `complete`: the trials that the store has complete. Between two looks at what others run lies `pause`.
  SharedBooks(const std::vector<PlannedTrial>& trials, std::string study,
              const std::set<std::string>& complete, Claims& claims,
              std::chrono::milliseconds pause = std::chrono::seconds(1), bool prune = false);

  // Trials whose process died are continued, wherever it was. One that failed before this process began is
  // tried again, once: by it, or by another that began after the failure.
  std::optional<Turn> next() override;
  bool waits() override;                                          // for trials that others run
  void sign_of_life(const std::vector<std::string>&) override {}  // the claims give them
  void complete(const PlannedTrial& trial, const std::string& results) override;
  void fail(const PlannedTrial& trial, const std::string& reason) override;
  void prune(const PlannedTrial& trial, const std::string& reason) override;
  void stop(const PlannedTrial& trial, const std::string& reason) override;

  // Writes how all trials went into the store, which another process may have done before.
  void record(TrialStore& store) const;

 private:
  enum class Known { left, running, settled };  // of a trial, here
  std::optional<Turn> turn_of(size_t trial);
  void end(const PlannedTrial& trial, Claims::State state, const std::string& reason, Known known);
  std::string folder_of(const PlannedTrial& trial) const { return study_ + "/" + trial.name; }

  const std::vector<PlannedTrial>& trials_;
  const std::string study_;
  const std::set<std::string> complete_;
  Claims& claims_;
  const std::chrono::milliseconds pause_;
  const bool prune_;
  std::vector<Known> known_;
  std::vector<int> attempts_before_;             // this process began
  std::chrono::steady_clock::time_point due_{};  // the next look, when the last one found nothing
};

}  // namespace foil
