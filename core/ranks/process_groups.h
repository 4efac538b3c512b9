// SPDX-License-Identifier: BSD-3-Clause
// Process groups: c10d's, made for one device, with an abort that frees waiting ranks also where Gloo carries
// the collectives.
#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <chrono>
#include <string>

namespace foil {

// What every group of a world has in common.
struct GroupSettings {
  int rank = 0;
  int world_size = 1;
  int local_world_size = 1;  // ranks of this host
  at::Device device = at::kCPU;
  std::chrono::seconds timeout{0};
  int store_port = 0;  // of the store of the ranks, 0 where it has none: its connections outlive an abort
  bool one_machine = false;  // all ranks are on this one: nothing leaves the loopback interface
  std::string secret;        // that the ranks prove to each other to know
};

// A group whose CPU tensors go through Gloo, and whose CUDA tensors go through NCCL where every rank of this
// host has a device of its own, else through Gloo. Every rank must call it in the same order; `name` keeps
// the groups of one store apart. Throws Error where another end of a connection does not know the secret.
c10::intrusive_ptr<c10d::ProcessGroup> make_process_group(const c10::intrusive_ptr<c10d::Store>& store,
                                                          const std::string& name,
                                                          const GroupSettings& settings);

// The NCCL half, in a file of its own for the sake of its headers.
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store,
                                            const GroupSettings& settings);

// The ranks of the default group that a Python program made by torch.distributed; 1 where there is none.
int64_t default_group_size();

}  // namespace foil
