// SPDX-License-Identifier: BSD-3-Clause
// NCCL: the one file that sees its headers; compiled where nvcc is.
#include "ranks/process_groups.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace foil {

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, const GroupSettings& settings) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = settings.timeout;
  auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, settings.rank, settings.world_size, options);
  backend->setBoundDeviceId(settings.device);
  return backend;
}

}  // namespace foil
