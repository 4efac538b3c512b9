// SPDX-License-Identifier: BSD-3-Clause
// Pass: the views of a step through the model and the gradients back, all samples at once or some at a time.
// The loss sees the whole batch either way; what the encoder keeps for the way back is that of one piece. The
// price is a second forward pass. Gao et al., "Scaling deep contrastive learning batch size under memory
// limited setup" (GradCache), RepL4NLP 2021.
#pragma once

#include "model/model.h"
#include "ranks/reducer.h"

namespace foil {

struct MicroBatchOptions {
  int64_t micro_batch = 0;
  bool ghost_batch_norm = false;
  void describe(Fields& f);
  void check() const;
};

// In how many pieces every rank encodes its block of a global batch of so many samples, none larger than
// micro_batch; 1 where that is 0. The same on all ranks: batch statistics are theirs together.
int64_t pieces_of(int64_t global_batch, int64_t ranks, int64_t micro_batch);

// Model::forward without gradient, piece by piece.
Tower::Output encode(Model& model, const Views& views, bool bf16, int64_t pieces);

class Pass {
 public:
  // Of several pieces the model's state moves in backward() alone. Views of graphs are not cut.
  Pass(Model& model, const Views& views, bool bf16, int64_t pieces);
  // Of all samples; of several pieces leaves of the loss's graph.
  const Tower::Output& out() const { return out_; }
  // Gradients of `total` in every parameter that it depends on, averaged over ranks. Once.
  void backward(const Tensor& total, GradientReducer& reducer);

 private:
  Model& model_;
  const Views& views_;
  bool bf16_;
  int64_t pieces_;
  Tower::Output out_;
};

}  // namespace foil
