// SPDX-License-Identifier: BSD-3-Clause
// Views cut into pieces, outputs joined; the model's state put back after the pass that only looks.
#include "model/pass.h"

#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

using OutputPart = std::vector<Tensor> Tower::Output::*;
constexpr OutputPart kParts[] = {&Tower::Output::h, &Tower::Output::z, &Tower::Output::p,
                                 &Tower::Output::decoded};

View rows(View view, int64_t from, int64_t to) {
  for (Tensor View::*part : {&View::data, &View::length, &View::params, &View::key})
    if ((view.*part).defined()) view.*part = (view.*part).slice(0, from, to);
  return view;
}

// Pieces differ by one sample at most; of few samples some are empty.
int64_t begin_of(const View& view, int64_t piece, int64_t pieces) { return view.size() * piece / pieces; }

Views piece_of(const Views& views, int64_t piece, int64_t pieces) {
  Views some;
  for (const View& view : views)
    some.push_back(rows(view, begin_of(view, piece, pieces), begin_of(view, piece + 1, pieces)));
  return some;
}

Tower::Output joined(const std::vector<Tower::Output>& pieces) {
  Tower::Output all = pieces[0];
  for (const OutputPart part : kParts) {
    for (size_t v = 0; v < (all.*part).size(); ++v) {
      if (!(all.*part)[v].defined()) continue;
      std::vector<Tensor> rows;
      for (const Tower::Output& piece : pieces) rows.push_back((piece.*part)[v]);
      (all.*part)[v] = torch::cat(rows);
    }
  }
  return all;
}

// Gives the buffers of a model back what they held.
class SameState {
 public:
  explicit SameState(const Model& model) {
    for (const Model::Part& part : model.parts())
      for (const Tensor& buffer : part.tower->buffers()) held_.emplace_back(buffer, buffer.clone());
  }
  ~SameState() {
    const torch::NoGradGuard no_gradient;
    for (auto& [buffer, value] : held_) buffer.copy_(value);
  }
  SameState(const SameState&) = delete;
  SameState& operator=(const SameState&) = delete;

 private:
  std::vector<std::pair<Tensor, Tensor>> held_;
};

bool learns(const Model& model) {
  const auto all = model.parameters();
  return std::any_of(all.begin(), all.end(), [](const auto& one) { return one.second.requires_grad(); });
}

}  // namespace

void MicroBatchOptions::describe(Fields& f) {
  f.integer("micro_batch", micro_batch,
            "samples that a rank encodes at a time, the loss still sees all of them; 0 = all", at_least(0));
  f.flag("ghost_batch_norm", ghost_batch_norm, "batch norm takes the statistics of each micro batch");
}

void MicroBatchOptions::check() const {
  if (ghost_batch_norm && micro_batch == 0)
    refuse("train.ghost_batch_norm", "true", "false, or true with train.micro_batch > 0");
}

int64_t pieces_of(int64_t global_batch, int64_t ranks, int64_t micro_batch) {
  if (micro_batch == 0) return 1;
  const int64_t most = (global_batch + ranks - 1) / ranks;
  return std::max<int64_t>(1, (most + micro_batch - 1) / micro_batch);
}

Tower::Output encode(Model& model, const Views& views, bool bf16, int64_t pieces) {
  const torch::NoGradGuard no_gradient;
  if (pieces == 1) return model.forward(views, bf16);
  std::vector<Tower::Output> parts;
  for (int64_t piece = 0; piece < pieces; ++piece)
    parts.push_back(model.forward(piece_of(views, piece, pieces), bf16));
  return joined(parts);
}

Pass::Pass(Model& model, const Views& views, bool bf16, int64_t pieces)
    : model_(model), views_(views), bf16_(bf16), pieces_(pieces) {
  if (pieces_ == 1) {
    out_ = model.forward(views, bf16);
    return;
  }
  const SameState state(model);
  out_ = encode(model, views, bf16, pieces);
  if (!learns(model)) return;
  for (const OutputPart part : kParts)
    for (Tensor& leaf : out_.*part)
      if (leaf.defined()) leaf.requires_grad_();
}

void Pass::backward(const Tensor& total, GradientReducer& reducer) {
  const bool at_once = pieces_ == 1 || !out_.z.at(0).requires_grad();
  if (at_once) reducer.prepare({total});
  if (total.requires_grad()) total.backward();
  if (at_once) return;
  for (int64_t piece = 0; piece < pieces_; ++piece) {
    const Tower::Output again = model_.forward(piece_of(views_, piece, pieces_), bf16_);
    std::vector<Tensor> outputs, gradients;
    for (const OutputPart part : kParts) {
      for (size_t v = 0; v < (again.*part).size(); ++v) {
        const Tensor &output = (again.*part)[v], &leaf = (out_.*part)[v];
        if (!output.defined() || !output.requires_grad() || !leaf.grad().defined()) continue;
        outputs.push_back(output);
        gradients.push_back(leaf.grad().slice(0, begin_of(views_[v], piece, pieces_),
                                              begin_of(views_[v], piece + 1, pieces_)));
      }
    }
    // Ranks meet once, with what all pieces have added up to.
    if (piece + 1 == pieces_) reducer.prepare(outputs);
    if (!outputs.empty()) torch::autograd::backward(outputs, gradients);
  }
}

}  // namespace foil
