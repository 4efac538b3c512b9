// SPDX-License-Identifier: BSD-3-Clause
// Reading ahead is a queue of futures: bounded, passes exceptions on, and waits for its threads when it goes
// away.
#include "data/loader.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

constexpr double kResidentBytes = 4.0 * (1 << 30);

}  // namespace

std::pair<int64_t, int64_t> rank_block(int64_t n, int64_t world_size, int64_t rank) {
  const int64_t each = n / world_size, longer = n % world_size;
  const int64_t begin = rank * each + std::min(rank, longer);
  return {begin, begin + each + (rank < longer ? 1 : 0)};
}

View on_device(View view, at::Device device) {
  for (Tensor* part : {&view.data, &view.edges.ends, &view.edges.weight})
    if (part->defined()) *part = part->to(device, /*non_blocking=*/true);
  return view;
}

Loader::Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<Sampler> sampler, int64_t rank,
               int64_t world_size, int64_t first_step, int64_t last_step, at::Device device, int64_t ahead)
    : dataset_(std::move(dataset)),
      sampler_(std::move(sampler)),
      labels_(dataset_->labels(Split::train)),
      graph_(dataset_->nodes(Split::train).defined()),
      rank_(rank),
      world_size_(world_size),
      step_(first_step),
      last_step_(last_step),
      device_(device),
      ahead_(graph_ || dataset_->in_memory() ? 0 : std::max<int64_t>(ahead, 1)) {
  if (graph_) {
    for (const View& view : dataset_->read(Split::train, torch::zeros({1}, torch::kLong)))
      resident_.push_back(on_device(view, device_));
    return;
  }
  if (!dataset_->in_memory() || device_.is_cpu()) return;
  const int64_t size = dataset_->size(Split::train);
  double bytes = 0;
  for (const View& view : dataset_->read(Split::train, torch::zeros({1}, torch::kLong))) {
    bytes += static_cast<double>(view.data.nbytes());
  }
  if (bytes * static_cast<double>(size) > kResidentBytes) return;
  resident_ = dataset_->read(Split::train, torch::arange(size, torch::kLong));
  for (View& view : resident_) view.data = view.data.to(device_);
}

Views Loader::read(const Tensor& index) const {
  if (graph_) return resident_;
  if (resident_.empty()) {
    Views views = dataset_->read(Split::train, index);
    for (View& view : views) {
      if (view.data.defined() && device_.is_cuda()) view.data = view.data.pin_memory();
    }
    return views;
  }
  Views views = resident_;
  const Tensor rows = index.to(device_);
  for (View& view : views) {
    view.data = view.data.index_select(0, rows);
    if (view.length.defined()) view.length = view.length.index_select(0, index);
  }
  return views;
}

Batch Loader::next() {
  while (step_ < last_step_ && static_cast<int64_t>(queue_.size()) <= ahead_) {
    Batch batch;
    batch.step = step_;
    batch.global = sampler_->batch(step_);
    const auto [begin, end] = rank_block(batch.global.size(0), world_size_, rank_);
    batch.begin = begin;
    batch.index = batch.global.slice(0, begin, end).contiguous();
    if (labels_.defined()) batch.label = labels_.index_select(0, batch.index);
    queue_.push_back(
        std::async(ahead_ > 0 ? std::launch::async : std::launch::deferred, [this, batch]() mutable {
          batch.raw = read(batch.index);
          return batch;
        }));
    ++step_;
  }
  if (queue_.empty()) fail(Exit::failure, "Loader: no batch after step ", last_step_ - 1, ".");
  std::future<Batch> front = std::move(queue_.front());
  queue_.pop_front();
  Batch batch = front.get();
  if (batch.label.defined()) batch.label = batch.label.to(device_);
  for (View& view : batch.raw) view = on_device(std::move(view), device_);
  return batch;
}

void for_each_block(const Dataset& dataset, Split split, int64_t begin, int64_t end, int64_t batch,
                    const std::function<void(const Tensor& index, const Views& raw)>& fn) {
  const auto how = dataset.in_memory() ? std::launch::deferred : std::launch::async;
  auto start = [&](int64_t first) {
    return std::async(
        how, [&dataset, split, index = torch::arange(first, std::min(first + batch, end), torch::kLong)] {
          return std::pair(index, dataset.read(split, index));
        });
  };
  std::future<std::pair<Tensor, Views>> next;
  if (begin < end) next = start(begin);
  while (next.valid()) {
    const auto [index, raw] = next.get();
    begin += batch;
    if (begin < end) next = start(begin);
    fn(index, raw);
  }
}

}  // namespace foil
