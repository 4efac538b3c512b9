// SPDX-License-Identifier: BSD-3-Clause
// The collectives and their gradients; why one of them failed is failure.h's to find out.
#include "ranks/world.h"

#include "api/plain_words.h"
#include "ranks/failure.h"
#include "ranks/meeting.h"
#include "ranks/process_groups.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/types.h>

#include <cstdlib>
#include <cstring>
#include <numeric>

namespace foil {

using at::Tensor;

struct World::Links {
  c10::intrusive_ptr<c10d::Store> store;
  GroupSettings settings;
  std::vector<c10::intrusive_ptr<c10d::ProcessGroup>> groups;  // the first one is the world's own
  std::mutex mutex;                                            // guards `groups` and `aborted`
  bool aborted = false;
  std::unique_ptr<Failure> failure;

  void abort() {
    std::lock_guard lock(mutex);
    aborted = true;
    for (const auto& group : groups) group->abort();
  }
  c10d::ProcessGroup& group() { return *groups.front(); }
};

namespace {

bool is_connection_error(const std::exception& error) {
  return dynamic_cast<const c10::DistError*>(&error) || std::strstr(error.what(), "/gloo/");
}

}  // namespace

// ---- Meeting and parting

World::World(int rank, int size) : rank_(rank), size_(size) {}

std::shared_ptr<World> World::single() { return std::shared_ptr<World>(new World(0, 1)); }

std::shared_ptr<World> World::make(const Launch& launch, at::Device device, std::chrono::seconds timeout) {
  if (launch.world_size == 1) return single();
  const Meeting meeting = meet(launch, timeout);
  const GroupSettings settings{launch.rank, launch.world_size, launch.local_world_size, device,
                               timeout,     launch.port,       meeting.one_machine,     meeting.secret};
  return make(meeting.store, settings, meeting.hosts);
}

std::shared_ptr<World> World::make(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                   at::Device device, std::chrono::seconds timeout) {
  // LibTorch's flight recorder enters each new group into one map of the process before it takes its lock:
  // with ranks that are threads, a crash now and then. It reads the variable once, at the first collective.
  [[maybe_unused]] static const int off = ::setenv("TORCH_FR_BUFFER_SIZE", "0", /*overwrite=*/1);
  return size == 1 ? single() : make(store, {rank, size, size, device, timeout, 0, true, ""}, false);
}

std::shared_ptr<World> World::make(const c10::intrusive_ptr<c10d::Store>& store,
                                   const GroupSettings& settings, bool hosts_store) {
  std::shared_ptr<World> world(new World(settings.rank, settings.world_size));
  world->links_ = std::make_unique<Links>();
  Links& links = *world->links_;
  links.store = store;
  links.settings = settings;
  links.failure = std::make_unique<Failure>(store, settings.rank, settings.world_size, hosts_store,
                                            settings.timeout, [&links] { links.abort(); });
  world->new_group("world");
  return world;
}

c10::intrusive_ptr<c10d::ProcessGroup> World::new_group(const std::string& name) {
  TORCH_CHECK(links_, "a process group needs at least two ranks");
  c10::intrusive_ptr<c10d::ProcessGroup> group;
  try {
    // Numbered: a second group must not meet the addresses that the first one left in the store.
    group = make_process_group(links_->store, name + std::to_string(links_->groups.size()), links_->settings);
  } catch (const std::exception& e) {
    throw links_->failure->lost("connecting the ranks", plain_words(e));
  }
  {
    std::lock_guard lock(links_->mutex);
    links_->groups.push_back(group);
    if (links_->aborted) group->abort();
  }
  barrier();  // a rank that fails now fails with all connected
  return group;
}

World::~World() {
  if (!links_) return;
  links_->failure->stop_watching();
  links_->abort();
}

void World::close() {
  if (!links_) return;
  barrier();
  if (rank_ == 0) note_end(*links_->store);  // where rank 0 keeps the store, it is gone with rank 0
  {
    // A group ends when what it has been given is done: while that lasts, the watcher says so. It does not
    // see the groups any more: a rank that has gone, and with it the store, aborts nothing of what is left.
    const Failure::Wait waiting(*links_->failure, "closing the connections");
    std::vector<c10::intrusive_ptr<c10d::ProcessGroup>> groups;
    {
      const std::lock_guard lock(links_->mutex);
      groups.swap(links_->groups);
    }
    for (const auto& group : groups) group->shutdown();
  }
  links_.reset();
}

// ---- Failures

template <class Collective>
void World::wait(const char* what, Collective&& start) {
  TORCH_CHECK(links_, what, " after the ranks were closed");
  const Failure::Wait waiting(*links_->failure, what);
  try {
    start(links_->group())->wait();
  } catch (const std::exception& e) {
    if (!is_connection_error(e)) fail(Exit::failure, what, ": ", plain_words(e));
    throw links_->failure->lost(what, plain_words(e));
  }
}

Error World::explain(const std::exception& error) {
  const auto* own = dynamic_cast<const Error*>(&error);
  const Exit code = own ? own->code() : Exit::failure;
  if (!links_) return Error(plain_words(error), code);
  // Collectives that the reducer starts throw c10d's and Gloo's own errors.
  const std::string text = plain_words(error);
  const bool of_all =
      !agreed_.empty() && text.find(agreed_) != std::string::npos;  // it names its rank already
  const std::string who = of_all ? "" : "rank " + std::to_string(rank_) + ": ";
  Error reason = is_connection_error(error) ? links_->failure->lost("reducing the gradients", text)
                                            : links_->failure->post(who + text, code);
  speaks_ = links_->failure->claim_speech();
  return reason;
}

std::string World::first_error(const std::string& mine) {
  if (size_ == 1) return mine;
  const int64_t first =
      reduce(torch::tensor(mine.empty() ? size_ : rank_, torch::kLong), Reduce::min, "agreeing on errors")
          .item<int64_t>();
  if (first == size_) return "";
  return agreed_ = broadcast_text("rank " + std::to_string(rank_) + ": " + mine, static_cast<int>(first));
}

// ---- Collectives

namespace {

// The memory of a contiguous tensor, whatever strides its dimensions of size one claim.
Tensor bytes_of(const Tensor& contiguous) {
  return contiguous.as_strided({contiguous.numel()}, {1}).view(torch::kByte);
}

}  // namespace

Tensor World::reduce(const Tensor& local, Reduce operation, const char* what) {
  const at::ScalarType type = local.scalar_type();
  const bool narrow = type == at::kBFloat16 || type == at::kHalf;
  at::ScalarType wide = type == at::kBool ? at::kLong : type;
  if (narrow) wide = at::kFloat;
  std::vector<Tensor> all = {local.detach().to(wide).clone(at::MemoryFormat::Contiguous)};
  if (size_ > 1 && local.numel() > 0) {
    c10d::AllreduceOptions options;
    options.reduceOp = operation == Reduce::sum ? c10d::ReduceOp::SUM : c10d::ReduceOp::MIN;
    wait(what, [&](c10d::ProcessGroup& group) { return group.allreduce(all, options); });
  }
  return narrow ? all[0].to(type) : all[0];
}

Tensor World::gather_ints(const std::vector<int64_t>& mine) {
  Tensor local = torch::tensor(mine, torch::kLong);
  Tensor all = torch::empty({size_ * local.numel()}, torch::kLong);
  wait("gathering counts", [&](c10d::ProcessGroup& group) { return group._allgather_base(all, local); });
  return all.view({size_, local.numel()});
}

std::vector<int64_t> World::counts(int64_t local) {
  if (size_ == 1) return {local};
  const Tensor all = gather_ints({local});
  return {all.const_data_ptr<int64_t>(), all.const_data_ptr<int64_t>() + size_};
}

// Rows travel as bytes, so that every dtype can; shards are padded to the longest.
Tensor World::gather_rows(const Tensor& local, std::vector<int64_t>& rows) {
  const int64_t own = local.size(0);
  int64_t row_bytes = local.element_size();
  for (int64_t size : local.sizes().slice(1)) row_bytes *= size;
  const Tensor all = gather_ints({own, row_bytes});
  const auto table = all.accessor<int64_t, 2>();
  rows.clear();
  for (int r = 0; r < size_; ++r) {
    rows.push_back(table[r][0]);
    if (table[r][1] != table[0][1]) {
      fail(Exit::failure, "gather: a row has ", table[0][1], " bytes on rank 0 and ", table[r][1],
           " on rank ", r, "; rows must agree in shape and type.");
    }
  }
  const int64_t longest = *std::max_element(rows.begin(), rows.end());
  std::vector<int64_t> shape = local.sizes().vec();
  shape[0] = std::accumulate(rows.begin(), rows.end(), int64_t{0});
  if (longest * row_bytes == 0) return torch::empty(shape, local.options());
  const Tensor bytes = bytes_of(local.detach().contiguous());
  Tensor padded =
      own == longest ? bytes : torch::cat({bytes, bytes.new_zeros({(longest - own) * row_bytes})});
  Tensor gathered = bytes.new_empty({size_ * longest * row_bytes});
  wait("gather", [&](c10d::ProcessGroup& group) { return group._allgather_base(gathered, padded); });
  if (shape[0] != size_ * longest) {
    std::vector<Tensor> parts;
    for (int r = 0; r < size_; ++r)
      parts.push_back(gathered.narrow(0, r * longest * row_bytes, rows[static_cast<size_t>(r)] * row_bytes));
    gathered = torch::cat(parts);
  }
  return gathered.view(local.scalar_type()).view(shape);
}

struct GatherRows : torch::autograd::Function<GatherRows> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& local, int64_t world) {
    std::vector<int64_t> rows;
    Tensor all = reinterpret_cast<World*>(world)->gather_rows(local, rows);
    context->saved_data["world"] = world;
    context->saved_data["rows"] = rows;
    return all;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradient) {
    World& world = *reinterpret_cast<World*>(context->saved_data["world"].toInt());
    const std::vector<int64_t> rows = context->saved_data["rows"].toIntVector();
    const int64_t before = std::accumulate(rows.begin(), rows.begin() + world.rank_, int64_t{0});
    const Tensor total = world.reduce(gradient[0], World::Reduce::sum, "the gradient of gather");
    return {total.narrow(0, before, rows[static_cast<size_t>(world.rank_)]), Tensor()};
  }
};

struct SumOverRanks : torch::autograd::Function<SumOverRanks> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& local, int64_t world) {
    context->saved_data["world"] = world;
    return reinterpret_cast<World*>(world)->reduce(local, World::Reduce::sum, "sum");
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradient) {
    World& world = *reinterpret_cast<World*>(context->saved_data["world"].toInt());
    return {world.reduce(gradient[0], World::Reduce::sum, "the gradient of sum"), Tensor()};
  }
};

Tensor World::gather(const Tensor& local) {
  if (local.dim() == 0) fail(Exit::failure, "gather: a scalar has no rows; unsqueeze(0) makes it one.");
  return size_ == 1 ? local : GatherRows::apply(local, reinterpret_cast<int64_t>(this));
}

Tensor World::sum(const Tensor& local) {
  return size_ == 1 ? local : SumOverRanks::apply(local, reinterpret_cast<int64_t>(this));
}

void World::barrier() {
  if (size_ > 1) reduce(torch::zeros({1}), Reduce::sum, "barrier");
}

void World::broadcast(std::vector<Tensor>& tensors, int root) {
  if (size_ == 1) return;
  torch::NoGradGuard no_grad;
  c10d::BroadcastOptions options;
  options.rootRank = root;
  for (Tensor& tensor : tensors) {
    if (tensor.numel() == 0) continue;
    const Tensor values = tensor.detach().contiguous();
    std::vector<Tensor> bytes = {bytes_of(values)};
    wait("broadcast", [&](c10d::ProcessGroup& group) { return group.broadcast(bytes, options); });
    if (!values.is_same(tensor)) tensor.copy_(values);
  }
}

int64_t World::broadcast_int(int64_t value, int root) {
  std::vector<Tensor> message = {torch::tensor(value, torch::kLong)};
  broadcast(message, root);
  return message[0].item<int64_t>();
}

std::string World::broadcast_text(const std::string& text, int root) {
  const int64_t size = broadcast_int(static_cast<int64_t>(text.size()), root);
  std::vector<Tensor> bytes = {torch::zeros({size}, torch::kByte)};
  if (rank_ == root) std::memcpy(bytes[0].mutable_data_ptr(), text.data(), text.size());
  broadcast(bytes, root);
  return {static_cast<const char*>(bytes[0].const_data_ptr()), static_cast<size_t>(size)};
}

}  // namespace foil
