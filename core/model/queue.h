// SPDX-License-Identifier: BSD-3-Clause
// QueueStore: one queue of past embeddings, as the host keeps it: first in, first out, in the order of the
// global batch.
#pragma once

#include <foil/loss.h>

namespace foil {

// Its buffers are the whole state of a checkpoint: data [K, D], index [K] and label [K] where the need asks
// for them, and entered, the number of rows that ever came in: row n lies at n mod K. Every rank holds the
// same bits: the vectors at the start are drawn from `key`, those that enter are gathered from all ranks.
// `options`: device and type of the vectors.
class QueueStore : public torch::nn::Module {
 public:
  QueueStore(const QueueNeed& need, int64_t width, uint64_t key, const at::TensorOptions& options = {});

  // What a loss sees; it shares the memory of the store.
  Queue look() const;
  // The rows of the global batch that the need names take the place of the oldest ones. A batch may split at
  // the end of the memory; of one that is longer than the queue the last K rows remain. Before the start
  // epoch nothing enters. `label`: int64 [B], read where the need asks for labels. Every rank must call it.
  void enqueue(const LossInput& input, const Tensor& label);

 private:
  QueueNeed need_;
  Tensor data_, index_, label_, entered_;
};

}  // namespace foil
