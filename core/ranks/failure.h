// SPDX-License-Identifier: BSD-3-Clause
// Failure: how the ranks learn why one of them cannot go on, so that a run ends at once and with one message.
// The reason goes through the store, which lives outside the collectives; a watcher on each rank sees it and
// frees this rank's waiting collectives.
#pragma once

#include <foil/error.h>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace foil {

// One failure of a world, seen from one rank. Thread-safe but for the constructor and the destructor.
class Failure {
 public:
  // `free_waiters` makes the pending collectives of this rank throw; called at most once, from any thread.
  Failure(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, bool hosts_store,
          std::chrono::seconds timeout, std::function<void()> free_waiters);
  ~Failure();

  // This rank fails by itself. Returns the failure that all ranks report: the first one posted.
  Error post(const std::string& message, Exit code);
  // A collective of this rank failed. Finds out why: the posted failure, else the ranks that are gone (their
  // watcher is silent) or late (alive, but not in a collective), and returns what all ranks report.
  Error lost(const std::string& what, const std::string& cause);
  // After post or lost: whether this rank is the one that prints the message: rank 0 unless it is gone or
  // busy elsewhere.
  bool claim_speech();
  void stop_watching();

  // While it lives, this rank waits for the others in `what`, which every rank enters in the same order. When
  // that takes long, the lowest rank that waits says for whom, or that every rank waits, on stderr, again and
  // again.
  class Wait {
   public:
    Wait(Failure& failure, const char* what) : failure_(failure) { failure_.begin_wait(what); }
    ~Wait() { failure_.begin_wait(nullptr); }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

   private:
    Failure& failure_;
  };

 private:
  Error agree(const std::string& message, Exit code);
  void raise_alarm();
  void free_once();
  void watch(const c10::intrusive_ptr<c10d::Store>& store);
  void begin_wait(const char* what);
  void answer_roll_call(c10d::Store& store);
  void speak_of_wait(c10d::Store& store);
  // The other ranks that have not set key/RANK within `patience`, as "rank 2" or "ranks 1, 2"; empty when all
  // have.
  std::string missing(const std::string& key, std::chrono::milliseconds patience);

  c10::intrusive_ptr<c10d::Store> store_;
  const int rank_, size_;
  const bool hosts_store_;
  const std::chrono::seconds timeout_;  // of the collectives: for the message
  const std::function<void()> free_waiters_;
  std::once_flag freed_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopped_ = false;

  std::mutex wait_mutex_;  // guards what the next three say
  const char* waits_in_ = nullptr;
  int64_t waits_ = 0;  // how many there were, this one included
  std::chrono::steady_clock::time_point waits_since_;
  struct Spoken {  // of the watcher's own: what it has done about the wait
    int64_t wait = 0;
    std::chrono::steady_clock::time_point due;  // to call the roll, or to say what came of it
    std::string called;                         // the roll call that is out; empty = none
  } spoken_;
  std::string answered_;  // the last roll call
  std::thread watcher_;   // last: it uses what is above
};

// Posts a failure on behalf of a rank that cannot do it any more; the first one posted counts.
void post_failure(c10d::Store& store, const std::string& message, int code);
// Whether a rank has taken it upon itself to print the failure.
bool failure_was_spoken(c10d::Store& store);
// Says that every rank has come to the end of the run and has nothing left to do but to go; whether that was
// said.
void note_end(c10d::Store& store);
bool end_was_noted(c10d::Store& store);
// "rank 2", "ranks 0 and 2", "ranks 0, 1 and 2".
std::string rank_names(const std::vector<int>& ranks);
// The keys of one launch in a store that may serve several.
c10::intrusive_ptr<c10d::Store> keys_of_launch(const c10::intrusive_ptr<c10d::Store>& store,
                                               const std::string& run_id, int restart_count);

}  // namespace foil
