// SPDX-License-Identifier: BSD-3-Clause
// A sound loss with every kind of state and draw, and the same loss with one bug each, as people write them:
// to test the tests. The sound one: anchors of view 0 against view 1 of the global batch, each weighted by a
// learned scale, a keyed draw and a moving average of its own past values, with a moving centre subtracted
// and a queue of past embeddings as further negatives.
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

enum class Bug {
  none,
  divided_by_world_size,
  gather_without_gradient,
  mean_of_local_anchors,
  offset_of_rank_times_batch,
  mask_of_minus_1e9,
  mask_of_minus_1e4_in_a_product,
  mask_of_minus_100_where_there_are_others,
  masked_entry_in_the_max,
  state_in_a_plain_member,
  state_moves_in_evaluation,
  state_keyed_by_batch_position,
  state_differs_between_ranks,
  draw_of_a_global_generator,
  own_key_already_in_the_queue,
  reads_labels_without_asking,
  reads_labels_when_there,
  none_with_labels,
  unlabelled_are_of_one_class,
  reads_features_without_asking,
  keeps_rows_by_sample_without_asking,
  skips_a_gather_without_rows,
};

constexpr int64_t kQueue = 5;

template <Bug bug>
class Planted final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.2;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
    }
  };
  explicit Planted(Options options) : options_(options) {}

  foil::Needs needs() const override {
    return {.labels = labelled, .index = bug != Bug::keeps_rows_by_sample_without_asking};
  }

  void setup(const foil::Sizes& sizes) override {
    scale_ = register_parameter("scale", torch::zeros({sizes.z_dim}));
    centre_ = register_buffer("centre", torch::zeros({sizes.z_dim}));
    queue_ = register_buffer("queue", torch::randn({kQueue, sizes.z_dim}));
    steps_ = register_buffer("steps", torch::zeros({}, torch::kLong));
    average_ = torch::zeros({sizes.dataset_size});
    if (bug != Bug::state_in_a_plain_member) average_ = register_buffer("average", average_);
  }

  Tensor forward(const LossInput& input) override {
    const Tensor a = (input.z[0] - centre_) * scale_.exp();  // [B, D]
    const Tensor all = candidates(input);                    // [N, D]
    if (bug == Bug::state_moves_in_evaluation) move_centre(all.mean(0));
    if (bug == Bug::own_key_already_in_the_queue) enqueue(all);
    const Tensor similarity = torch::matmul(a, all.t()) / options_.temperature;         // [B, N]
    const Tensor others = torch::matmul(a, queue_.t().clone()) / options_.temperature;  // [B, K]
    const int64_t batch = a.size(0), rank = input.ranks->rank();
    const int64_t before = bug == Bug::offset_of_rank_times_batch ? rank * batch : input.offset();
    const Tensor own = torch::arange(before, before + batch, input.index.options());  // [B]
    Tensor negative = own.unsqueeze(1) != torch::arange(all.size(0), own.options());  // [B, N]
    if (labelled)
      negative = negative.logical_and(alike(input.label, input.gather(input.label)).logical_not());
    const Tensor positive = similarity.gather(1, own.unsqueeze(1)).squeeze(1);  // [B]
    const Tensor negatives = log_sum_exp(similarity, negative);                 // [B]
    const Tensor push = bug == Bug::mask_of_minus_1e9
                            ? negatives
                            : torch::where(negative.any(1), negatives, torch::zeros_like(positive));
    Tensor term = push + 0.1 * others.logsumexp(1) - positive;  // [B]
    input.keep("term", term);
    input.keep("all", all);
    term = term * weight(input).to(term.scalar_type()).detach();
    input.report("positive", input.mean(positive));
    if (bug == Bug::mean_of_local_anchors) return term.mean();
    const Tensor value = input.mean(term);
    return bug == Bug::divided_by_world_size ? value / static_cast<double>(input.ranks->world_size()) : value;
  }

  void after_step(const LossInput& input) override {
    steps_ += 1;
    const Tensor all = input.kept("all"), index = input.gather(input.index),
                 term = input.gather(input.kept("term"));
    const Tensor rows =
        bug == Bug::state_keyed_by_batch_position ? torch::arange(index.size(0), index.options()) : index;
    foil::scatter_rows(average_, rows,
                       0.9 * average_.index_select(0, rows) + 0.1 * term.to(average_.scalar_type()),
                       foil::Duplicates::mean);
    const Tensor local = input.z[1].detach();
    if (bug == Bug::state_differs_between_ranks && local.size(0) > 0) return move_centre(local.mean(0));
    if (bug != Bug::state_moves_in_evaluation) move_centre(all.mean(0));
  }

 private:
  static constexpr bool labelled = bug == Bug::none_with_labels || bug == Bug::unlabelled_are_of_one_class;

  // Which samples are of the class of each row: [B, N].
  static Tensor alike(const Tensor& rows, const Tensor& columns) {
    return bug == Bug::unlabelled_are_of_one_class ? rows.unsqueeze(1) == columns
                                                   : foil::same_class(rows, columns);
  }

  // View 1 of every rank: [N, D].
  static Tensor candidates(const LossInput& input) {
    if (bug == Bug::skips_a_gather_without_rows && input.z[1].size(0) == 0)
      return input.z[1].new_ones({1, input.z[1].size(1)});
    const Tensor all = input.everyone(1);
    if (bug != Bug::gather_without_gradient) return all;
    const int64_t begin = input.offset(), end = begin + input.z[1].size(0);
    return torch::cat({all.slice(0, 0, begin).detach(), input.z[1], all.slice(0, end).detach()});
  }

  static Tensor log_sum_exp(const Tensor& s, const Tensor& allowed) {
    if (bug == Bug::mask_of_minus_1e9)
      return torch::logsumexp(s + allowed.logical_not().to(s.scalar_type()) * -1e9, 1);
    if (bug == Bug::mask_of_minus_1e4_in_a_product)
      return torch::logsumexp(s - 1e4 * (1 - allowed.to(s.scalar_type())), 1);
    if (bug == Bug::mask_of_minus_100_where_there_are_others)
      return s.masked_fill(allowed.logical_not(), -100).logsumexp(1);
    if (bug != Bug::masked_entry_in_the_max) return foil::masked_logsumexp(s, allowed);
    const Tensor top = std::get<0>(s.detach().max(1, true));
    return ((s - top).exp() * allowed).sum(1).log() + top.squeeze(1);
  }

  // What each anchor counts: [B].
  Tensor weight(const LossInput& input) const {
    const Tensor draw = bug == Bug::draw_of_a_global_generator
                            ? torch::rand({input.index.size(0)}, average_.options())
                            : input.uniform("weight", 1).squeeze(1);
    Tensor w = 1 + draw + average_.index_select(0, input.index);
    if (bug == Bug::reads_labels_without_asking ||
        (bug == Bug::reads_labels_when_there && input.label.defined()))
      w = w * (1 + input.label);
    if (bug == Bug::reads_features_without_asking) w = w + input.h.at(0).detach().mean();
    return w;
  }

  void move_centre(const Tensor& to) {
    torch::NoGradGuard no_grad;
    centre_.mul_(0.9).add_(to.detach(), 0.1);
  }

  void enqueue(const Tensor& keys) {
    torch::NoGradGuard no_grad;
    queue_.copy_(torch::cat({keys, queue_}).slice(0, 0, kQueue));
  }

  Options options_;
  Tensor scale_, centre_, queue_, steps_, average_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<Planted<Bug::none>>(
      "sound",
      {.samples = {"temperature = 0.05"},
       .wider = {{"precision", 2, "the learned scale is an exponential, whose rounding counts too"}}});
  plugin.loss<Planted<Bug::divided_by_world_size>>("divided_by_world_size");
  plugin.loss<Planted<Bug::gather_without_gradient>>("gather_without_gradient");
  plugin.loss<Planted<Bug::mean_of_local_anchors>>("mean_of_local_anchors");
  plugin.loss<Planted<Bug::offset_of_rank_times_batch>>("offset_of_rank_times_batch");
  plugin.loss<Planted<Bug::mask_of_minus_1e9>>("mask_of_minus_1e9");
  plugin.loss<Planted<Bug::mask_of_minus_1e4_in_a_product>>("mask_of_minus_1e4_in_a_product");
  plugin.loss<Planted<Bug::mask_of_minus_100_where_there_are_others>>(
      "mask_of_minus_100_where_there_are_others");
  plugin.loss<Planted<Bug::masked_entry_in_the_max>>("masked_entry_in_the_max");
  plugin.loss<Planted<Bug::state_in_a_plain_member>>("state_in_a_plain_member");
  plugin.loss<Planted<Bug::state_moves_in_evaluation>>("state_moves_in_evaluation");
  plugin.loss<Planted<Bug::state_keyed_by_batch_position>>("state_keyed_by_batch_position");
  plugin.loss<Planted<Bug::state_differs_between_ranks>>("state_differs_between_ranks");
  plugin.loss<Planted<Bug::draw_of_a_global_generator>>("draw_of_a_global_generator");
  plugin.loss<Planted<Bug::own_key_already_in_the_queue>>("own_key_already_in_the_queue");
  plugin.loss<Planted<Bug::reads_labels_without_asking>>("reads_labels_without_asking");
  plugin.loss<Planted<Bug::reads_labels_when_there>>("reads_labels_when_there");
  plugin.loss<Planted<Bug::none_with_labels>>("sound_with_labels");
  plugin.loss<Planted<Bug::unlabelled_are_of_one_class>>("unlabelled_are_of_one_class");
  plugin.loss<Planted<Bug::reads_features_without_asking>>("reads_features_without_asking");
  plugin.loss<Planted<Bug::keeps_rows_by_sample_without_asking>>("keeps_rows_by_sample_without_asking");
  plugin.loss<Planted<Bug::skips_a_gather_without_rows>>("skips_a_gather_without_rows");
}
