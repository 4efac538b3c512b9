// SPDX-License-Identifier: BSD-3-Clause
// The keys: failed = "CODE text", alarm = somebody is in trouble, alive/R = R's watcher saw the alarm,
// stopped/R = R's collective ended in an error, late = one of these errors was a timeout, heard/R = R knows
// the reason, speaker = the rank that prints it, end = all have come to the end of the run. Of waits that
// take long: waits/R = which of its waits R is in, roll = somebody asks who is there, here/R = R's answer to
// that.
#include "ranks/failure.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace foil {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
constexpr milliseconds kWatch{100};      // between two looks of the watcher
constexpr milliseconds kRollCall{2000};  // for the ranks to answer an alarm
constexpr milliseconds kFarewell{3000};  // for the ranks to hear the reason
constexpr milliseconds kSilence{20000};  // of a wait, before it is spoken of

std::string with_rank(const char* key, int rank) { return std::string(key) + "/" + std::to_string(rank); }

}  // namespace

std::string rank_names(const std::vector<int>& ranks) {
  std::string names = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < ranks.size(); ++i) {
    if (i > 0) names += i + 1 == ranks.size() ? " and " : ", ";
    names += std::to_string(ranks[i]);
  }
  return names;
}

void post_failure(c10d::Store& store, const std::string& message, int code) {
  store.compareSet("failed", "", std::to_string(code) + " " + message);
  store.set("alarm", "1");
}

bool failure_was_spoken(c10d::Store& store) { return store.check({"speaker"}); }

void note_end(c10d::Store& store) {
  try {
    store.set("end", "1");
  } catch (const std::exception&) {  // who would read it is gone, and nothing is lost
  }
}

bool end_was_noted(c10d::Store& store) { return store.check({"end"}); }

c10::intrusive_ptr<c10d::Store> keys_of_launch(const c10::intrusive_ptr<c10d::Store>& store,
                                               const std::string& run_id, int restart_count) {
  return c10::make_intrusive<c10d::PrefixStore>("foil/" + run_id + "/" + std::to_string(restart_count),
                                                store);
}

Failure::Failure(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, bool hosts_store,
                 std::chrono::seconds timeout, std::function<void()> free_waiters)
    : store_(store),
      rank_(rank),
      size_(size),
      hosts_store_(hosts_store),
      timeout_(timeout),
      free_waiters_(std::move(free_waiters)) {
  watcher_ = std::thread([this, own = store->clone()] { watch(own); });
}

Failure::~Failure() { stop_watching(); }

void Failure::stop_watching() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stop_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

void Failure::watch(const c10::intrusive_ptr<c10d::Store>& store) {
  int looks = 0;
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kWatch, [this] { return stopped_; })) {
    lock.unlock();
    try {
      if (store->check({"alarm"})) {
        store->set(with_rank("alive", rank_), "1");
        free_once();
        return;
      }
      if (++looks % 5 == 0) {  // twice a second
        answer_roll_call(*store);
        speak_of_wait(*store);
      }
    } catch (const c10::DistStoreError&) {  // a value that was deleted or forged between two questions: the
                                            // next look counts
    } catch (const std::exception&) {       // the store is gone, and its rank with it
      free_once();
      return;
    }
    lock.lock();
  }
}

void Failure::begin_wait(const char* what) {
  const std::lock_guard lock(wait_mutex_);
  waits_in_ = what;
  waits_ += what != nullptr;
  waits_since_ = Clock::now();
}

void Failure::answer_roll_call(c10d::Store& store) {
  if (!store.check({"roll"})) return;
  const std::string roll = store.get_to_str("roll");
  if (roll != std::exchange(answered_, roll)) store.set(with_rank("here", rank_), roll);
}

void Failure::speak_of_wait(c10d::Store& store) {
  const char* what;
  int64_t wait;
  Clock::time_point since;
  {
    const std::lock_guard lock(wait_mutex_);
    what = waits_in_;
    wait = waits_;
    since = waits_since_;
  }
  const auto now = Clock::now();
  if (!what || now - since < kSilence) return;
  if (spoken_.wait != wait) {
    store.set(with_rank("waits", rank_), std::to_string(wait));
    spoken_ = {wait, now + kRollCall, ""};  // the others that wait say so meanwhile
  }
  if (now < spoken_.due) return;
  std::vector<int> late;
  for (int r = 0; r < size_; ++r) {
    const std::string key = with_rank("waits", r);
    const bool waits = r == rank_ || (store.check({key}) && std::stoll(store.get_to_str(key)) >= wait);
    if (waits && r < rank_) return;  // that one speaks
    if (!waits) late.push_back(r);
  }
  if (!late.empty() && spoken_.called.empty()) {
    spoken_.called = std::to_string(rank_) + "." + std::to_string(wait) + "." +
                     std::to_string(now.time_since_epoch().count());
    store.set("roll", spoken_.called);
    spoken_.due = now + kRollCall;
    return;
  }
  std::vector<int> silent;
  for (const int r : late) {
    const std::string key = with_rank("here", r);
    if (!store.check({key}) || store.get_to_str(key) != spoken_.called) silent.push_back(r);
  }
  std::string whom = ", which every rank is in";  // nobody is late, and nothing arrives
  if (!late.empty()) whom = " for " + rank_names(late);
  if (!silent.empty()) whom += " (" + rank_names(silent) + " without an answer)";
  const auto whole = [](auto time) {
    return static_cast<long>(std::chrono::duration_cast<std::chrono::seconds>(time).count());
  };
  std::fprintf(stderr, "waiting in %s%s, %ld s of at most %ld\n", what, whom.c_str(), whole(now - since),
               static_cast<long>(timeout_.count()));
  spoken_.called.clear();
  spoken_.due = now + (now - since);
}

void Failure::free_once() { std::call_once(freed_, free_waiters_); }

void Failure::raise_alarm() {
  store_->set(with_rank("alive", rank_), "1");
  store_->set("alarm", "1");
  free_once();
}

Error Failure::agree(const std::string& message, Exit code) {
  post_failure(*store_, message, static_cast<int>(code));
  const std::string posted = store_->get_to_str("failed");
  const size_t space = posted.find(' ');
  raise_alarm();
  return Error(posted.substr(space + 1), static_cast<Exit>(std::stoi(posted.substr(0, space))));
}

Error Failure::post(const std::string& message, Exit code) {
  try {
    return agree(message, code);
  } catch (const std::exception&) {  // the store is gone
    free_once();
    return Error(message, code);
  }
}

std::string Failure::missing(const std::string& key, milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  std::vector<int> ranks;
  do {
    ranks.clear();
    for (int r = 0; r < size_; ++r) {
      if (r != rank_ && !store_->check({with_rank(key.c_str(), r)})) ranks.push_back(r);
    }
    if (ranks.empty()) return "";
    std::this_thread::sleep_for(milliseconds(20));
  } while (std::chrono::steady_clock::now() < end && (key != "stopped" || !store_->check({"failed"})));
  return rank_names(ranks);
}

Error Failure::lost(const std::string& what, const std::string& cause) {
  try {
    if (cause.find("imed out") != std::string::npos || cause.find("imeout") != std::string::npos)
      store_->set("late", "1");
    raise_alarm();  // first: a rank that stopped is alive
    store_->set(with_rank("stopped", rank_), "1");
    const std::string absent = missing("stopped", kRollCall), silent = missing("alive", milliseconds(0));
    std::string reason = what + ": the connection between the ranks was lost: " + cause;
    if (!silent.empty()) {
      reason = silent + " ended or cannot be reached.";
    } else if (!absent.empty() && store_->check({"late"})) {
      reason = what + ": " + absent + " did not come within " + std::to_string(timeout_.count()) +
               " s, the other ranks wait.";
    }
    return agree(reason, Exit::failure);
  } catch (const std::exception&) {
    free_once();
    return Error("rank " + std::to_string(rank_) +
                 ": the store of the ranks is gone, and with it most likely rank 0: " + cause);
  }
}

bool Failure::claim_speech() {
  try {
    store_->set(with_rank("heard", rank_), "1");
    if (rank_ != 0) {
      const auto end = std::chrono::steady_clock::now() + kFarewell;
      while (!store_->check({"speaker"}) && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(milliseconds(20));
    }
    const std::string me = std::to_string(rank_);
    const bool speaks = store_->compareSet("speaker", "", me) == me;
    if (hosts_store_) missing("heard", kFarewell);
    return speaks;
  } catch (const std::exception&) {
    return true;
  }
}

}  // namespace foil
