// SPDX-License-Identifier: BSD-3-Clause
#include "ranks/in_process.h"

#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include <optional>
#include <thread>

namespace foil {

void in_process_ranks(int world_size, const std::function<void(World&)>& body, std::chrono::seconds timeout) {
  if (world_size == 1) return body(*World::single());
  const auto store = c10::make_intrusive<c10d::HashStore>();
  std::vector<std::optional<Error>> errors(static_cast<size_t>(world_size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      std::shared_ptr<World> world;
      try {
        world = World::make(store, rank, world_size, at::kCPU, timeout);
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
