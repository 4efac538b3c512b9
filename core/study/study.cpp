// SPDX-License-Identifier: BSD-3-Clause
// The runner of a study.
#include "study/study.h"

#include "run/file.h"
#include "run/text.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <ostream>
#include <utility>

namespace foil {
namespace {

// Of a process that left no word.
std::string code_text(int code) {
  if (code > 128 && ::sigdescr_np(code - 128))
    return fmt::format("killed by signal {} ({})", code - 128, ::sigdescr_np(code - 128));
  return fmt::format("exit code {}", code);
}

// The results of a trial that ended well; when there are none, it did not.
std::string results_of(TrialEnd& end, const std::string& folder) {
  if (end.code != 0) return "";
  try {
    return read_results(folder);
  } catch (const Error& error) {
    end.code = static_cast<int>(error.code());
    end.reason = error.what();
    return "";
  }
}

std::map<std::string, TrialRecord> by_name(const std::vector<TrialRecord>& records) {
  std::map<std::string, TrialRecord> named;
  for (const auto& record : records) named.emplace(record.name, record);
  return named;
}

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

// Of all complete trials together; 0 when none tells.
double steps_per_second(const std::vector<TrialRecord>& records) {
  double steps = 0, seconds = 0;
  for (const auto& record : records) {
    if (record.state != TrialState::complete || record.seconds <= 0) continue;
    steps += static_cast<double>(parse_results(record.results, record.name).step);
    seconds += record.seconds;
  }
  return seconds > 0 ? steps / seconds : 0;
}

// One walk through a study.
class Walk {
 public:
  Walk(const std::vector<PlannedTrial>& trials, TrialRunner& runner, Books& books, std::ostream& log,
       std::optional<Pruning> pruning)
      : trials_(trials), runner_(runner), books_(books), log_(log), pruning_(std::move(pruning)) {}

  int run() {
    for (;;) {
      if (stop_ == 0) stop_ = runner_.asked();
      while (stop_ == 0 && runner_.free()) {
        const auto turn = books_.next();
        if (!turn) break;
        take(*turn);
      }
      if (running_.empty() && (stop_ != 0 || !books_.waits())) break;
      if (auto end = runner_.wait()) ended(std::move(*end));
      prune();
      std::vector<std::string> names;
      for (const auto& [name, turn] : running_) names.push_back(name);
      books_.sign_of_life(names);
    }
    return stop_ != 0 ? stop_ : static_cast<int>(any_failed_ ? Exit::failure : Exit::ok);
  }

 private:
  std::string header(size_t i) const {
    return fmt::format("[{}/{}] {} seed {}", i + 1, trials_.size(), printable(trials_[i].variant),
                       trials_[i].seed);
  }
  void take(const Turn& turn) {
    static constexpr const char* kSaid[] = {"", ", continued", ": complete already",
                                            " failed: ", ", pruned: "};
    log_ << header(turn.trial) << kSaid[static_cast<size_t>(turn.state)] << printable_lines(turn.reason)
         << std::endl;
    any_failed_ = any_failed_ || turn.state == Turn::State::failed;
    const PlannedTrial& trial = trials_[turn.trial];
    if (turn.state == Turn::State::complete) judge_by(turn.folder, turn.results);
    if (turn.state != Turn::State::anew && turn.state != Turn::State::continued) return;
    running_.emplace(trial.name, turn);
    try {
      runner_.start(trial, turn.folder);
    } catch (const Error& error) {
      ended({trial.name, static_cast<int>(error.code()), error.what()});
    } catch (const std::exception& error) {
      ended({trial.name, static_cast<int>(Exit::failure), error.what()});
    }
  }
  void ended(TrialEnd end) {
    const Turn turn = running_.at(end.name);
    running_.erase(end.name);
    const PlannedTrial& trial = trials_[turn.trial];
    const std::string results = results_of(end, turn.folder);
    const auto behind = behind_.extract(end.name);
    if (end.code == 0) {
      judge_by(turn.folder, results);
      return books_.complete(trial, results);
    }
    if (end.reason.empty()) end.reason = code_text(end.code);
    if (is_stop(end.code) && behind) return books_.prune(trial, behind.mapped());
    if (is_stop(end.code)) {
      books_.stop(trial, end.reason);
      if (stop_ == 0) runner_.ask(stop_ = end.code);
      return;
    }
    books_.fail(trial, end.reason);
    log_ << header(turn.trial) << " failed: " << printable_lines(end.reason) << std::endl;
    any_failed_ = true;
  }

  void judge_by(const std::string& folder, const std::string& results) {
    if (pruning_ && !results.empty()) pruning_->complete(folder, parse_results(results, folder));
  }
  // Once a second, asks the trials that have fallen behind to stop.
  void prune() {
    const auto now = std::chrono::steady_clock::now();
    if (!pruning_ || stop_ != 0 || now < due_) return;
    due_ = now + std::chrono::seconds(1);
    for (const auto& [name, turn] : running_) {
      if (behind_.contains(name)) continue;
      const std::optional<std::string> reason = pruning_->behind(turn.folder);
      if (!reason) continue;
      behind_[name] = *reason;
      log_ << header(turn.trial) << ", pruned: " << *reason << std::endl;
      runner_.end(name);
    }
  }

  const std::vector<PlannedTrial>& trials_;
  TrialRunner& runner_;
  Books& books_;
  std::ostream& log_;
  std::optional<Pruning> pruning_;
  std::map<std::string, std::string> behind_;  // why a running trial was asked to stop
  std::chrono::steady_clock::time_point due_{};
  std::map<std::string, Turn> running_;  // by the trial's name
  int stop_ = 0;                         // the exit code of a stop
  bool any_failed_ = false;
};

}  // namespace

bool is_stop(int code) {
  return code == static_cast<int>(Exit::interrupted) || code == static_cast<int>(Exit::again);
}

StoreBooks::StoreBooks(const std::vector<PlannedTrial>& trials, TrialStore& store, bool prune)
    : trials_(trials), store_(store), prune_(prune) {
  store_.plan(trials_);
  known_ = by_name(store_.trials());
}

std::optional<Turn> StoreBooks::next() {
  if (next_ == trials_.size()) return std::nullopt;
  const TrialRecord& record = known_.at(trials_[next_].name);
  Turn turn{next_++, Turn::State::anew, record.folder};
  if (record.state == TrialState::complete) {
    turn.state = Turn::State::complete;
    turn.results = record.results;
    return turn;
  }
  if (record.state == TrialState::pruned && prune_) {
    turn.state = Turn::State::pruned;
    turn.reason = record.reason;
    return turn;
  }
  if (!record.started.empty()) turn.state = Turn::State::continued;
  store_.start(record.name);
  return turn;
}

void StoreBooks::sign_of_life(const std::vector<std::string>& running) {
  const auto now = std::chrono::steady_clock::now();
  if (now < due_) return;
  due_ = now + std::chrono::seconds(30);
  try {
    for (const std::string& name : running) store_.heartbeat(name);
  } catch (const Error&) {  // one that cannot be written is skipped: the trials matter more
  }
}

void StoreBooks::complete(const PlannedTrial& trial, const std::string& results) {
  store_.complete(trial.name, results);
}
void StoreBooks::fail(const PlannedTrial& trial, const std::string& reason) {
  store_.fail(trial.name, reason);
}
void StoreBooks::prune(const PlannedTrial& trial, const std::string& reason) {
  store_.prune(trial.name, reason);
}
void StoreBooks::stop(const PlannedTrial& trial, const std::string& reason) {
  store_.stop(trial.name, reason);
}

int run_study(const std::vector<PlannedTrial>& trials, TrialRunner& runner, Books& books, std::ostream& log,
              std::optional<Pruning> pruning) {
  return Walk(trials, runner, books, log, std::move(pruning)).run();
}

std::string dry_run(const std::vector<PlannedTrial>& trials, const std::vector<TrialRecord>& known,
                    int lanes) {
  const auto named = by_name(known);
  size_t width = 0;
  for (const auto& trial : trials) width = std::max(width, trial.name.size());
  std::string out;
  int64_t left = 0, steps = 0, disk = 0;
  bool all_known = true;
  for (const auto& trial : trials) {
    const auto record = named.find(trial.name);
    const TrialState state = record == named.end() ? TrialState::waiting : record->second.state;
    const std::string size =
        trial.steps > 0 ? fmt::format("{} steps", fmt::group_digits(trial.steps)) : "steps not known";
    out += fmt::format("{:<{}}  {}  {}\n", trial.name, width, size, to_string(state));
    if (state == TrialState::complete || state == TrialState::pruned) continue;
    ++left;
    steps += trial.steps;
    disk += trial.disk;
    all_known = all_known && trial.steps > 0;
  }
  out += fmt::format("{} of {} trials to run", left, trials.size());
  if (left > 0 && all_known) {
    out += fmt::format(", {} steps", fmt::group_digits(steps));
    const double speed = steps_per_second(known);
    if (speed > 0)
      out += fmt::format(", about {} at {:.3g} steps/s{}",
                         duration(static_cast<double>(steps) / (speed * lanes)), speed,
                         lanes > 1 ? fmt::format(" and {} trials at a time", lanes) : "");
  }
  if (disk > 0) out += fmt::format(", checkpoints of {}", readable_bytes(disk));
  return out + "\n";
}

}  // namespace foil
