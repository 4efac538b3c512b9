// SPDX-License-Identifier: BSD-3-Clause
// In-process ranks: the ranks of a test as threads, one Gloo process group each over a store in memory.
#pragma once

#include "ranks/world.h"

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include <functional>
#include <optional>
#include <thread>
#include <vector>

namespace foil {

// Runs `body` as each of `world_size` ranks. When a rank throws, the others are freed and what all ranks report is thrown here.
inline void in_process_ranks(int world_size, const std::function<void(World&)>& body) {
  if (world_size == 1) return body(*World::single());
  const auto store = c10::make_intrusive<c10d::HashStore>();
  std::vector<std::optional<Error>> errors(static_cast<size_t>(world_size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      std::shared_ptr<World> world;
      try {
        world = World::make(store, rank, world_size, at::kCPU);
        body(*world);
        world->close();
      } catch (const std::exception& e) {
        errors[static_cast<size_t>(rank)] = world ? world->explain(e) : Error(e.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) throw *error;
  }
}

}  // namespace foil
