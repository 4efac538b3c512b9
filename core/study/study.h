// SPDX-License-Identifier: BSD-3-Clause
// Runs the trials of a study, one or several at a time. How a trial is run is the caller's; which is next and
// how it went is kept in books; this brings both together.
#pragma once

#include "study/pruning.h"
#include "study/store.h"

#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace foil {

// How a trial ended. 0 means that results.json is there; the reason of a failure may be empty.
struct TrialEnd {
  std::string name;
  int code = 0;
  std::string reason = {};
};

// Whether an exit code means that a trial, or a study, was asked to stop: 130 or 75.
bool is_stop(int code);

// What runs trials.
class TrialRunner {
 public:
  virtual ~TrialRunner() = default;
  virtual bool free() const = 0;  // one more can be started
  // Runs, or continues, the trial in its folder; may throw instead.
  virtual void start(const PlannedTrial& trial, const std::string& folder) = 0;
  // A trial that has ended; nothing when, for a moment, none has.
  virtual std::optional<TrialEnd> wait() = 0;
  // The exit code with which this process was asked to stop, 130 or 75; 0 while nobody has. The trials that
  // run have been asked by then.
  virtual int asked() const = 0;
  virtual void ask(int code) = 0;                  // asks the trials that run to stop
  virtual void end(const std::string& trial) = 0;  // asks one of them, as exit code 75 does
};

// What there is to say of a trial when its turn has come.
struct Turn {
  enum class State { anew, continued, complete, failed, pruned };
  size_t trial = 0;  // which of the planned
  State state = State::anew;
  std::string folder = {};
  std::string reason = {};   // of what has failed elsewhere, or was pruned
  std::string results = {};  // of what is complete
};

// What is left of a study, and how the trials went.
class Books {
 public:
  virtual ~Books() = default;
  // The next trial: one to be run, anew or continued, or one of which that is only to be said. Nothing when
  // none can be begun now.
  virtual std::optional<Turn> next() = 0;
  virtual bool waits() = 0;  // for trials that others run
  virtual void sign_of_life(const std::vector<std::string>& running) = 0;
  virtual void complete(const PlannedTrial& trial, const std::string& results) = 0;
  virtual void fail(const PlannedTrial& trial, const std::string& reason) = 0;
  virtual void prune(const PlannedTrial& trial, const std::string& reason) = 0;
  virtual void stop(const PlannedTrial& trial, const std::string& reason) = 0;
};

// The books of a study that one process runs: the store. Plans the trials in it. Trials that were killed are
// continued, failed ones tried again; pruned ones are left where they stopped while `prune` is asked for.
class StoreBooks final : public Books {
 public:
  StoreBooks(const std::vector<PlannedTrial>& trials, TrialStore& store, bool prune = false);
  std::optional<Turn> next() override;
  bool waits() override { return false; }
  void sign_of_life(const std::vector<std::string>& running) override;  // twice a minute
  void complete(const PlannedTrial& trial, const std::string& results) override;
  void fail(const PlannedTrial& trial, const std::string& reason) override;
  void prune(const PlannedTrial& trial, const std::string& reason) override;
  void stop(const PlannedTrial& trial, const std::string& reason) override;

 private:
  const std::vector<PlannedTrial>& trials_;
  TrialStore& store_;
  const bool prune_;
  std::map<std::string, TrialRecord> known_;
  size_t next_ = 0;
  std::chrono::steady_clock::time_point due_{};  // the next sign of life
};

// Runs what the books name, in their order, with a line each on `log`: "[2/4] dcl seed 1". A failed trial
// does not stop the others; one that is behind by `pruning` is stopped. Returns 0 when all are complete, 1
// when any failed; 130 or 75, as soon as those that run have stopped, when this process or a trial was
// interrupted or asked to be run again.
int run_study(const std::vector<PlannedTrial>& trials, TrialRunner& runner, Books& books, std::ostream& log,
              std::optional<Pruning> pruning = std::nullopt);

// What run_study would do: one line per trial with its state, then how much is left. A time only when a
// complete trial of `known` (the store's records, empty when there is no store yet) tells the steps per
// second; `lanes`: trials at a time.
std::string dry_run(const std::vector<PlannedTrial>& trials, const std::vector<TrialRecord>& known,
                    int lanes = 1);

}  // namespace foil
