// SPDX-License-Identifier: BSD-3-Clause
// Loader: the batches of this rank, step after step, read ahead where reading takes time. It draws nothing:
// what is in a batch is the sampler's, so a loader that starts at step s gives what another gives after s
// steps.
#pragma once

#include <foil/dataset.h>
#include <foil/sampler.h>

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <utility>

namespace foil {

// The samples of one step that belong to this rank.
struct Batch {
  int64_t step = 0;
  Tensor index;       // int64 [B] on the CPU: rows of the training set
  Tensor global;      // int64 [N] on the CPU: those of all ranks in their order
  int64_t begin = 0;  // where in `global` those of this rank begin
  Tensor label;       // int64 [B] on the device; undefined for a data set without labels
  Views raw;          // on the device; View::ragged on the CPU
  // Whether the samples are nodes of a graph, all of which are in `raw`, on every rank.
  bool of_graph() const { return !raw.empty() && raw[0].kind == Kind::graph; }
};

// `view` with its data and edges on `device`; what draws are keyed by stays on the CPU.
View on_device(View view, at::Device device);

// [begin, end) of this rank's contiguous block of n: blocks differ by at most one, the longer ones first (64
// on 3: 22, 21, 21).
std::pair<int64_t, int64_t> rank_block(int64_t n, int64_t world_size, int64_t rank);

class Loader {
 public:
  // Steps first_step .. last_step - 1. `sampler` is set up. A data set in memory is read by next() itself,
  // from the device where it fits there (4 GiB), a graph once; of any other, `ahead` batches are read by
  // threads while the caller works.
  Loader(std::shared_ptr<const Dataset> dataset, std::shared_ptr<Sampler> sampler, int64_t rank,
         int64_t world_size, int64_t first_step, int64_t last_step, at::Device device = at::kCPU,
         int64_t ahead = 2);
  Loader(const Loader&) = delete;  // the threads hold it
  Loader& operator=(const Loader&) = delete;
  // The next batch; throws what reading it threw, and a failure after the last step. The destructor waits for
  // reads under way.
  Batch next();

 private:
  Views read(const Tensor& index) const;

  std::shared_ptr<const Dataset> dataset_;
  std::shared_ptr<Sampler> sampler_;
  Tensor labels_;
  bool graph_;
  int64_t rank_, world_size_;
  int64_t step_;  // the next to be asked of the sampler
  int64_t last_step_;
  at::Device device_;
  int64_t ahead_;
  Views resident_;                        // the whole training set or the graph on the device, or empty
  std::deque<std::future<Batch>> queue_;  // destroyed first: waits for its threads
};

// fn(index, raw) on the rows begin .. end - 1 of a split in order, `batch` at a time (the last may be
// smaller), on the CPU. A data set that is not in memory is read one batch ahead.
void for_each_block(const Dataset& dataset, Split split, int64_t begin, int64_t end, int64_t batch,
                    const std::function<void(const Tensor& index, const Views& raw)>& fn);

}  // namespace foil
