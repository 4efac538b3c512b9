// SPDX-License-Identifier: BSD-3-Clause
// Meeting: how the ranks of a launch find each other: the store that they share, and the wait until all of
// them are there.
#pragma once

#include "ranks/launch.h"

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>

namespace foil {

struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;
  bool hosts = false;        // this rank keeps the store
  bool one_machine = false;  // all ranks are on this one
  std::string secret;        // that the ranks share
};

// Connects to the store of the launch, or keeps it as rank 0, on the loopback interface when all ranks are on
// this machine, else on the one that MASTER_ADDR names; then waits for every rank. Ranks of several machines
// need a secret; those of one machine that were given none share one in a file that only their user can read.
// Throws Error: Exit::usage without the secret, Exit::failure where the store cannot be kept or reached or,
// naming the ranks, where some do not come in time.
Meeting meet(const Launch& launch, std::chrono::seconds timeout);

}  // namespace foil
