// SPDX-License-Identifier: BSD-3-Clause
// The store of `--nproc`: the process that starts the ranks keeps it, and each rank reaches it through a
// socket that it inherits. Nothing listens, so that nobody else can speak to it; and it outlives every rank.
#pragma once

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include <thread>
#include <vector>

namespace foil {

// The side of the parent. connect() for each rank, then start(), then fork.
class StoreKeeper {
 public:
  StoreKeeper();
  ~StoreKeeper();
  StoreKeeper(const StoreKeeper&) = delete;
  StoreKeeper& operator=(const StoreKeeper&) = delete;

  // The rank's end of a new connection, which closes at exec unless the rank's process says otherwise. The
  // caller closes it.
  int connect();
  // Answers from now on, in a thread: fork before.
  void start();
  c10::intrusive_ptr<c10d::Store> store() const { return store_; }

 private:
  void serve();
  bool answer(int connection);

  c10::intrusive_ptr<c10d::HashStore> store_ = c10::make_intrusive<c10d::HashStore>();
  std::vector<int> connections_;
  int stop_;  // an eventfd
  std::thread thread_;
};

// The side of a rank: the store behind `descriptor`, which from now on closes at exec. A connection that is
// not there, or ends, throws c10::DistNetworkError.
c10::intrusive_ptr<c10d::Store> inherited_store(int descriptor);

}  // namespace foil
