// SPDX-License-Identifier: BSD-3-Clause
// NCCL: the one file that sees its headers; compiled where nvcc is.
#include "ranks/process_groups.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace foil {

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store,
                                            const GroupSettings& settings) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  // Its watchdog ends the process without a word of ours: Gloo, which carries the counts of the same steps,
  // shall time out first.
  options->timeout = 2 * settings.timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, settings.rank, settings.world_size, options);
}

}  // namespace foil
