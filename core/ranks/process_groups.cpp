// SPDX-License-Identifier: BSD-3-Clause
// Which backend carries which device, and how a Gloo group is aborted.
#include "ranks/process_groups.h"

#include "ranks/sealed_store.h"

#include <foil/error.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/GroupRegistry.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/types.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>
#include <tuple>

namespace foil {
namespace {

// A TCP connection of this process: descriptor, own port, the other end's port. The ports tell a reused
// descriptor from the old one.
using Connection = std::tuple<int, int, int>;

int port_of(int descriptor, int (*name)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (name(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

Connection connection(int descriptor) {
  return {descriptor, port_of(descriptor, ::getsockname), port_of(descriptor, ::getpeername)};
}

// All but those of the store, at either end.
std::set<Connection> connections(int store_port) {
  std::set<Connection> open;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const Connection one = connection(std::stoi(entry.path().filename()));
    const auto [descriptor, own, other] = one;
    if (other != 0 && (store_port == 0 || (own != store_port && other != store_port))) open.insert(one);
  }
  return open;
}

// Gloo has no abort: closing a pair from this end leaves this end's waiting operations asleep. Shutting its
// sockets down for reading wakes them with "Connection closed by peer", and the other end when this one then
// closes. They stay open for writing: an operation that has left its queue because the other end is ready,
// and then cannot be written, is never woken. The sockets are those that appeared while the group connected,
// but for the store's: a rank's own watcher may be connecting to it just then, and must live to tell why the
// group was aborted.
class AbortableGloo final : public c10d::ProcessGroupGloo {
 public:
  AbortableGloo(const c10::intrusive_ptr<c10d::Store>& store, const GroupSettings& settings,
                const c10::intrusive_ptr<Options>& options)
      : AbortableGloo(store, settings, options, connections(settings.store_port)) {}

  void abort() override {
    for (const Connection& one : own_) {
      if (connection(std::get<0>(one)) == one) ::shutdown(std::get<0>(one), SHUT_RD);
    }
  }

 private:
  AbortableGloo(const c10::intrusive_ptr<c10d::Store>& store, const GroupSettings& settings,
                const c10::intrusive_ptr<Options>& options, const std::set<Connection>& before)
      : ProcessGroupGloo(store, settings.rank, settings.world_size, options) {
    for (const Connection& one : connections(settings.store_port)) {
      if (!before.count(one)) own_.push_back(one);
    }
  }

  std::vector<Connection> own_;
};

c10::intrusive_ptr<c10d::ProcessGroupGloo> make_gloo(const c10::intrusive_ptr<c10d::Store>& store,
                                                     const GroupSettings& settings) {
  // Gloo writes into connections whose other end may be gone; the error that write returns is enough.
  std::signal(SIGPIPE, SIG_IGN);
  auto options = settings.one_machine ? c10d::ProcessGroupGloo::Options::create(settings.timeout)
                                      : c10d::ProcessGroupGloo::Options::create_default(settings.timeout);
  if (settings.one_machine)
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  return c10::make_intrusive<AbortableGloo>(store, settings, options);
}

// Gloo takes whoever connects first for the rank that it waits for. So each rank tells each other, over the
// connection that they will use, what only a rank of this run can say.
void greet(c10d::ProcessGroupGloo& gloo, const std::string& name, const GroupSettings& settings) {
  const auto greeting = [&](int from, int to) {
    return seal(settings.secret, "greeting " + name + " " + std::to_string(from) + " " + std::to_string(to));
  };
  std::string said, expected;
  for (int r = 0; r < settings.world_size; ++r) {
    said += greeting(settings.rank, r);
    expected += greeting(r, settings.rank);
  }
  const auto size = static_cast<int64_t>(said.size());
  at::Tensor out = torch::from_blob(said.data(), {size}, torch::kByte),
             in = torch::zeros({size}, torch::kByte);
  std::vector<int64_t> equal_parts;
  gloo.alltoall_base(in, out, equal_parts, equal_parts)->wait();
  const int64_t each = size / settings.world_size;
  for (int r = 0; r < settings.world_size; ++r) {
    if (std::memcmp(in.const_data_ptr<uint8_t>() + r * each, expected.data() + r * each,
                    static_cast<size_t>(each)) != 0)
      fail(Exit::failure, "who connected as rank ", r,
           " does not know the secret of this run (FOIL_SECRET).");
  }
}

}  // namespace

c10::intrusive_ptr<c10d::ProcessGroup> make_process_group(const c10::intrusive_ptr<c10d::Store>& store,
                                                          const std::string& name,
                                                          const GroupSettings& settings) {
  using c10d::ProcessGroup;
  const auto prefix = [&](const char* backend) {
    return c10::make_intrusive<c10d::PrefixStore>(name + "/" + backend, store);
  };
  auto group = c10::make_intrusive<ProcessGroup>(store, settings.rank, settings.world_size);
  const auto gloo = make_gloo(prefix("gloo"), settings);
  greet(*gloo, name, settings);
  group->setBackend(at::kCPU, ProcessGroup::GLOO, gloo);
  group->setDefaultBackend(ProcessGroup::GLOO);
  if (settings.device.is_cuda()) {
    // Where a launcher counts one rank per machine though all are on this one, all use its first device.
    const bool counted = !settings.one_machine || settings.local_world_size == settings.world_size;
    const bool own_device =
        counted && static_cast<int>(torch::cuda::device_count()) >= settings.local_world_size;
    if (settings.one_machine) ::setenv("NCCL_SOCKET_IFNAME", "lo", /*overwrite=*/1);
    if (own_device)
      group->setBackend(at::kCUDA, ProcessGroup::NCCL, make_nccl(prefix("nccl"), settings));
    else
      group->setBackend(at::kCUDA, ProcessGroup::GLOO, gloo);
  }
  return group;
}

#ifndef FOIL_CUDA
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>&, const GroupSettings&) {
  fail(Exit::usage, "this foil was built without CUDA: ranks on CUDA devices need a build with nvcc.");
}
#endif

int64_t default_group_size() {
  try {
    return c10d::resolve_process_group("0")
        ->getSize();  // the name that init_process_group registers it under
  } catch (const c10::Error&) {
    return 1;
  }
}

}  // namespace foil
