// SPDX-License-Identifier: BSD-3-Clause
// What a process may run next is decided by looking at claims, and made sure of by taking one.
#include "study/shared_books.h"

#include "run/file.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <algorithm>
#include <utility>

namespace foil {
namespace {

constexpr std::chrono::seconds kRunSilence{60};  // after which the lock of a run is taken over

// The results of a trial; empty when they are gone or damaged, so that they are made again.
std::string results_in(const std::string& folder) {
  try {
    return read_results(folder);
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

SharedBooks::SharedBooks(const std::vector<PlannedTrial>& trials, std::string study,
                         const std::set<std::string>& complete, Claims& claims,
                         std::chrono::milliseconds pause, bool prune)
    : trials_(trials),
      study_(std::move(study)),
      complete_(complete),
      claims_(claims),
      pause_(pause),
      prune_(prune),
      known_(trials.size(), Known::left) {
  for (const PlannedTrial& trial : trials_) attempts_before_.push_back(claims_.look(trial.name).attempts);
}

std::optional<Turn> SharedBooks::turn_of(size_t i) {
  const PlannedTrial& trial = trials_[i];
  const std::string folder = folder_of(trial);
  const auto settled = [&](Turn::State state, const std::string& reason) {
    known_[i] = Known::settled;
    return Turn{i, state, folder, reason, state == Turn::State::complete ? results_in(folder) : ""};
  };
  if (complete_.contains(trial.name)) return settled(Turn::State::complete, "");
  const Claims::Look look = claims_.look(trial.name);
  const bool same = look.config == checksum(trial.config);
  if (look.state == Claims::State::complete && same && !results_in(folder).empty())
    return settled(Turn::State::complete, "");
  if (look.state == Claims::State::pruned && same && prune_) return settled(Turn::State::pruned, look.reason);
  if (look.state == Claims::State::failed && look.attempts > attempts_before_[i])
    return settled(Turn::State::failed, look.reason);
  // The trial of a process that has just died may take a moment to die with it.
  if (look.state == Claims::State::taken || living_holder(folder + "/lock", kRunSilence).process != 0 ||
      !claims_.take(trial.name, look))
    return std::nullopt;
  known_[i] = Known::running;
  return Turn{i, look.attempts > 0 ? Turn::State::continued : Turn::State::anew, folder};
}

std::optional<Turn> SharedBooks::next() {
  if (std::chrono::steady_clock::now() < due_) return std::nullopt;
  for (size_t i = 0; i < trials_.size(); ++i) {
    if (known_[i] != Known::left) continue;
    if (auto turn = turn_of(i)) return turn;
  }
  due_ = std::chrono::steady_clock::now() + pause_;
  return std::nullopt;
}

bool SharedBooks::waits() {
  return std::any_of(known_.begin(), known_.end(), [](Known known) { return known == Known::left; });
}

void SharedBooks::end(const PlannedTrial& trial, Claims::State state, const std::string& reason,
                      Known known) {
  const auto at = std::find_if(trials_.begin(), trials_.end(),
                               [&](const PlannedTrial& one) { return one.name == trial.name; });
  known_[static_cast<size_t>(at - trials_.begin())] = known;
  due_ = {};
  claims_.end(trial.name, state, checksum(trial.config), reason);
}

void SharedBooks::complete(const PlannedTrial& trial, const std::string&) {
  end(trial, Claims::State::complete, "", Known::settled);
}
void SharedBooks::fail(const PlannedTrial& trial, const std::string& reason) {
  end(trial, Claims::State::failed, reason, Known::settled);
}
void SharedBooks::prune(const PlannedTrial& trial, const std::string& reason) {
  end(trial, Claims::State::pruned, reason, Known::settled);
}
void SharedBooks::stop(const PlannedTrial& trial, const std::string& reason) {
  end(trial, Claims::State::open, reason, Known::left);
}

void SharedBooks::record(TrialStore& store) const {
  for (const PlannedTrial& trial : trials_) {
    const Claims::Look look = claims_.look(trial.name);
    if (look.state == Claims::State::complete)
      store.settle(trial.name, TrialState::complete, "", results_in(folder_of(trial)), look.seconds);
    if (look.state == Claims::State::failed)
      store.settle(trial.name, TrialState::failed, look.reason, "", look.seconds);
    if (look.state == Claims::State::pruned)
      store.settle(trial.name, TrialState::pruned, look.reason, "", look.seconds);
  }
}

}  // namespace foil
