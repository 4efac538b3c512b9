// SPDX-License-Identifier: BSD-3-Clause
// Loss: embeddings of V views -> a scalar. The host provides views, ranks, draws and state; a loss writes its
// formula. Sizes: V views (the first V' of them at full size), B samples of this rank, W ranks, N global
// batch, D width of z, F width of h, K queue length.
#pragma once

#include <foil/random.h>
#include <foil/ranks.h>
#include <foil/view.h>

#include <torch/nn/module.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace foil {

// A queue that the host keeps for a loss: once a step, after after_step, the rows of the global batch enter
// and the oldest leave.
struct QueueNeed {
  enum class Source { online, target };
  int64_t length = 0;              // K; need not be a multiple of the batch
  Source source = Source::target;  // the rows are those of z[view] or of target[view]
  int64_t view = 0;
  int64_t start_epoch = 0;  // before it nothing enters
  bool label = false;       // Queue::label
  bool index = false;       // Queue::index
};

// As Needs::max_views: as many as the experiment has.
constexpr int64_t any_number = 0;

// What a loss asks the loop for; the loop provides it or refuses before step 0, naming the TOML line.
struct Needs {
  int64_t min_views = 2;
  int64_t max_views = 2;   // or any_number
  bool labels = false;     // LossInput::label
  bool index = false;      // LossInput::index: for state per sample
  bool features = false;   // LossInput::h
  bool raw_z = false;      // z, p, target and queue as the heads give them; unit norm otherwise
  bool predictor = false;  // LossInput::p
  bool target = false;     // LossInput::target
  bool decoded = false;    // LossInput::decoded
  bool views = false;      // LossInput::views
  bool graph = false;      // the batch is all nodes of a graph, in their order: those of views[v].edges
  std::vector<std::string> weights = {};  // LossInput::weight, by their names in the tower
  std::vector<QueueNeed> queues = {};     // LossInput::queue, one each
};

// A queue as a loss sees it, as it was before this step. The same bits on every rank; constant, and not to be
// written.
struct Queue {
  Tensor data;   // [K, D]: random unit vectors where nothing has entered yet
  Tensor label;  // int64 [K], -1 where nothing has entered yet or a sample has none; undefined unless asked
  Tensor
      index;  // int64 [K], rows in the training set, -1 where nothing has entered yet; undefined unless asked
  int64_t filled = 0;  // rows that have entered and not left: the first `filled` ones
  int64_t view = 0;
};

// What a loss is built for: the whole experiment, equal on all ranks.
struct Sizes {
  int64_t z_dim = 0;         // D
  int64_t feature_dim = 0;   // F
  int64_t dataset_size = 0;  // rows of the training set
  int64_t classes = 0;       // 0 without labels
  int64_t views = 0;         // V
  int64_t full_views = 0;    // V': all but the small crops
  int64_t batch_size = 0;    // N, global
};

// One step as a loss sees it. Every rank must make the same calls in the same order.
class FOIL_API LossInput {
 public:
  std::vector<Tensor> z;  // V x [B, D], unit norm unless Needs::raw_z
  std::vector<Tensor> h;  // V x [B, F], features before the head; empty unless asked
  std::vector<Tensor> p;  // V x [B, D], the predictor on z; unit norm unless Needs::raw_z; empty unless asked
  std::vector<Tensor> target;   // V' x [B, D], z of the momentum tower, without gradient; unit norm unless
                                // raw_z; empty unless asked
  std::vector<Tensor> decoded;  // V x [B, ...], what the encoder's decoder gives; empty unless asked
  Views views;  // V, as the encoders saw them; of a graph all nodes and edges, constant; empty unless asked
  std::map<std::string, Tensor> weights;  // see weight()
  std::vector<Queue> queue;               // in the order of Needs::queues
  Tensor label;                           // int64 [B], -1: has none, see same_class(); undefined unless asked
  Tensor index;  // int64 [B], row in the training set; a host outside a run may count 0 ... B-1 unless asked
  int64_t step = 0;      // of the run, from 0
  int64_t epoch = 0;     // from 0: step / (steps in one pass over the training set)
  bool training = true;  // false: evaluation, where no state may move
  uint64_t seed = 0;     // of the run
  uint64_t slot = 0;     // position of the loss in the experiment; keys its draws
  Sizes sizes;
  std::shared_ptr<Ranks> ranks;  // never null inside forward

  // z of view v of every rank: [N, D] in global order. Local rows are everyone(v)[offset() : offset() + B].
  Tensor everyone(int64_t v) const { return gather(z.at(static_cast<size_t>(v))); }
  // That of all views, one after another: [V N, D].
  Tensor everyone() const;
  // Any per-sample tensor [B, ...] -> [N, ...]; gradient flows back to the rank that owns the row. The same
  // tensor is gathered once a step. Throws Error (Exit::failure) when rows differ in shape or type between
  // ranks.
  Tensor gather(const Tensor& local) const;
  int64_t offset() const;        // global position of the first local row
  int64_t global_batch() const;  // N

  // A parameter of the tower, with gradient: "encoder.conv1.weight". Throws Error (Exit::failure) with the
  // nearest name for one that needs().weights does not list.
  Tensor weight(const std::string& name) const;

  // Which candidates are of another sample than each local row, where candidates are `views` gathered tensors
  // [N, ...] one after another: bool [B, views N]. What a loss calls its negatives, with every view of the
  // row's own sample left out.
  Tensor other_samples(int64_t views = 1) const;

  // Mean over the global batch, written from local entries: sum(x) * W / (count over all ranks). The average
  // over ranks of what each rank gets is the value of one rank on the whole batch, whatever the local counts;
  // nothing anywhere gives 0.
  Tensor mean(const Tensor& x) const;
  // The same over the entries where `valid` (bool, shape of x); an entry that is not valid contributes
  // exactly 0, also to gradients.
  Tensor mean(const Tensor& x, const Tensor& valid) const;
  // Differentiable sum over ranks of a tensor of one shape on all: correlations, masses.
  Tensor sum_ranks(const Tensor& x) const;

  // This rank's block of rows of a tensor [K, ...] that every rank holds whole, so that each row is on one
  // rank; K / W of them, rounded, maybe none.
  Tensor share(const Tensor& replicated) const;

  // Draws in [0, 1), float [B, columns], keyed by (seed, step, slot, name, index): equal on one rank and on
  // many. On the device of `index`, without gradient. Two draws of one step need two names.
  Tensor uniform(std::string_view name, int64_t columns) const;
  // A generator of draws equal on all ranks, keyed by (seed, step, slot, name).
  Draws shared(std::string_view name) const;
  // For tests: what uniform(name) then returns.
  void preset(const std::string& name, const Tensor& draws) const { notes_->presets[name] = draws; }

  // A detached result handed from forward to after_step. kept() throws Error (Exit::failure) with the nearest
  // name when forward kept none of that name.
  void keep(const std::string& name, const Tensor& value) const;
  Tensor kept(const std::string& name) const;
  // Logs a part of the loss under `name`, a local mean like the value of forward: metrics.jsonl holds its
  // average over ranks.
  void report(const std::string& name, const Tensor& value) const;

  // For the host: from now on gather(local) is `whole`, which every rank has computed for itself.
  void hold(const Tensor& local, const Tensor& whole) const;
  // For the host: the same input for another loss, with nothing kept, reported or gathered yet.
  LossInput anew() const;
  // For the host: what forward reported, scalars without gradient by name.
  const std::map<std::string, Tensor>& reports() const { return notes_->reports; }

  // For the host, between forward and backward: z, p and the gathered tensors of this input, joined to
  // `value` with zero gradient, so that a rank whose value does not depend on them still enters the
  // collectives of backward.
  Tensor join(const Tensor& value) const;

 private:
  struct Notes {
    std::map<std::string, Tensor> kept, reports, presets;
    std::vector<Tensor> gathered, alive;  // alive: a cached key must not be reused by another tensor
    std::map<const void*, Tensor> cache;  // one gather per tensor
    std::vector<int64_t> counts;
  };
  const std::vector<int64_t>& counts() const;
  std::shared_ptr<Notes> notes_ = std::make_shared<Notes>();
};

// The invariant: the average over ranks of what forward returns is the value that one rank gives on the whole
// batch.
class FOIL_API Loss : public torch::nn::Module {
 public:
  // What forward and after_step read, from the options alone: asked before setup, more than once. The
  // default: two views, no more.
  virtual Needs needs() const { return {}; }
  // Called once, before the optimizer, the reducer and any checkpoint: parameters and per-sample buffers are
  // registered here, in float32 on the CPU; the host moves, broadcasts, averages and saves them. Throws Error
  // (Exit::usage) for sizes it cannot take.
  virtual void setup(const Sizes&) {}
  // A scalar in the type of z (fp32 or wider), with gradient: this rank's part, see the invariant. Must not
  // move state nor draw from a global generator. May be called in evaluation too. Throws Error
  // (Exit::failure) for input it cannot take.
  virtual Tensor forward(const LossInput& input) = 0;
  // Without gradient, after the optimizer's step, never in evaluation: the only place where state moves. Same
  // bits on every rank. `input` is that of forward, with what it kept.
  virtual void after_step(const LossInput&) {}
  // Of a loss that has clusters: which one each row of z [N, D] is in, int64 [N] from 0 on, by z as forward
  // is given it; for evaluation. Undefined: it has none, or none yet.
  virtual Tensor clusters(const Tensor&) const { return {}; }

  // forward as a host calls it: with autocast off, so that what is fp32 stays it inside a caller's autocast.
  Tensor operator()(const LossInput& input);
};

// x / max(||x||, 1e-12) along the last dimension, in fp32 or wider.
FOIL_API Tensor unit(const Tensor& x);

// Which columns are of the class of each row: bool [rows, columns], from labels int64 [rows] and [columns]. A
// label of -1 says that a sample has none: it is of no class, so that two samples without a label are not
// alike.
FOIL_API Tensor same_class(const Tensor& rows, const Tensor& columns);

// log(sum_j exp(s[i, j])) over the columns j with allowed[i, j] (bool, broadcastable to s): [rows]. Masked
// exactly: an entry that is not allowed has no part in the maximum, the sum or the gradient. A row without
// any allowed column gives -inf with gradient 0.
FOIL_API Tensor masked_logsumexp(const Tensor& s, const Tensor& allowed);

// log(1 + exp(x)), written as max(x, 0) + log1p(exp(-|x|)): exact to rounding for every x, with the right
// gradient at 0.
FOIL_API Tensor softplus(const Tensor& x);

// Rows of `values` [N, ...] (global order) written to rows `index` (int64 [N]) of `buffer` [dataset_size,
// ...], without gradient; where an index repeats, the last of its rows or their mean.
enum class Duplicates { last, mean };
FOIL_API void scatter_rows(Tensor buffer, const Tensor& index, const Tensor& values, Duplicates rule);

}  // namespace foil
