// SPDX-License-Identifier: BSD-3-Clause
// The runner of a study.
#include "study/study.h"

#include "run/text.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <ostream>
#include <thread>

namespace foil {
namespace {

// Signs of life of a running trial, twice a minute. One that cannot be written is skipped: the trial matters
// more.
class Heartbeat {
 public:
  Heartbeat(TrialStore& store, const std::string& name)
      : thread_([&store, name, this](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          while (
              !wake_.wait_for(lock, stop, std::chrono::seconds(30), [&] { return stop.stop_requested(); })) {
            try {
              store.heartbeat(name);
            } catch (const Error&) {
            }
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: joined before what it uses goes
};

struct Outcome {
  int code = 0;
  std::string reason, results;  // of a failure; of a success
};

// Of a process that left no word.
std::string code_text(int code) {
  if (code > 128 && ::sigdescr_np(code - 128))
    return fmt::format("killed by signal {} ({})", code - 128, ::sigdescr_np(code - 128));
  return fmt::format("exit code {}", code);
}

Outcome run_trial(const PlannedTrial& trial, const std::string& folder, const RunTrial& run) {
  Outcome outcome;
  try {
    outcome.code = run(trial, folder);
    if (outcome.code == 0) {
      const std::string path = folder + "/results.json";
      outcome.results = read_text(path).value_or("");
      if (outcome.results.empty()) fail(Exit::failure, path, ": missing after the trial ended");
      parse_results(outcome.results, path);
    }
  } catch (const Error& error) {
    outcome = {static_cast<int>(error.code()), error.what(), ""};
  } catch (const std::exception& error) {
    outcome = {static_cast<int>(Exit::failure), error.what(), ""};
  }
  if (outcome.code != 0 && outcome.reason.empty()) outcome.reason = code_text(outcome.code);
  return outcome;
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

}  // namespace

int run_study(const std::vector<PlannedTrial>& trials, const RunTrial& run, TrialStore& store,
              std::ostream& log) {
  store.plan(trials);
  const auto known = by_name(store.trials());
  bool any_failed = false;
  for (size_t i = 0; i < trials.size(); ++i) {
    const PlannedTrial& trial = trials[i];
    const TrialRecord& record = known.at(trial.name);
    const std::string header =
        fmt::format("[{}/{}] {} seed {}", i + 1, trials.size(), printable(trial.variant), trial.seed);
    if (record.state == TrialState::complete) {
      log << header << ": complete already" << std::endl;
      continue;
    }
    log << header << (record.started.empty() ? "" : ", continued") << std::endl;
    store.start(trial.name);
    const Outcome outcome = [&] {
      const Heartbeat heartbeat(store, trial.name);
      return run_trial(trial, record.folder, run);
    }();
    if (outcome.code == 0) {
      store.complete(trial.name, outcome.results);
    } else if (outcome.code == static_cast<int>(Exit::interrupted) ||
               outcome.code == static_cast<int>(Exit::again)) {
      store.stop(trial.name, outcome.reason);
      return outcome.code;
    } else {
      store.fail(trial.name, outcome.reason);
      log << header << " failed: " << printable_lines(outcome.reason) << std::endl;
      any_failed = true;
    }
  }
  return static_cast<int>(any_failed ? Exit::failure : Exit::ok);
}

std::string dry_run(const std::vector<PlannedTrial>& trials, const std::vector<TrialRecord>& known) {
  const auto named = by_name(known);
  size_t width = 0;
  for (const auto& trial : trials) width = std::max(width, trial.name.size());
  std::string out;
  int64_t left = 0, steps = 0;
  bool all_known = true;
  for (const auto& trial : trials) {
    const auto record = named.find(trial.name);
    const TrialState state = record == named.end() ? TrialState::waiting : record->second.state;
    const std::string size =
        trial.steps > 0 ? fmt::format("{} steps", fmt::group_digits(trial.steps)) : "steps not known";
    out += fmt::format("{:<{}}  {}  {}\n", trial.name, width, size, to_string(state));
    if (state == TrialState::complete) continue;
    ++left;
    steps += trial.steps;
    all_known = all_known && trial.steps > 0;
  }
  out += fmt::format("{} of {} trials to run", left, trials.size());
  if (left > 0 && all_known) {
    out += fmt::format(", {} steps", fmt::group_digits(steps));
    const double speed = steps_per_second(known);
    if (speed > 0)
      out += fmt::format(", about {} at {:.3g} steps/s", duration(static_cast<double>(steps) / speed), speed);
  }
  return out + "\n";
}

}  // namespace foil
