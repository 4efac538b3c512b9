// SPDX-License-Identifier: BSD-3-Clause
// The regression in coordinates where it is small and well conditioned, two ways to choose C, the splits.
#include "evaluate/node_probe.h"

#include "evaluate/checks.h"
#include "evaluate/lbfgs.h"
#include "evaluate/measuring.h"

#include <foil/random.h>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace foil {
namespace {

// For many products of small matrices: a second thread only waits, for very long where cores are scarce.
class OneThread {
 public:
  explicit OneThread(bool small) : before_(at::get_num_threads()) {
    if (small) at::set_num_threads(1);
  }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};
constexpr int64_t kSmall = int64_t{1} << 21;  // entries

std::vector<double> tried(const NodeProbeOptions& options) {
  if (!options.c.empty()) return options.c;
  std::vector<double> all;
  for (int power = -10; power <= 9; ++power) all.push_back(std::exp2(power));
  return all;
}

Tensor with_one(const Tensor& x) { return torch::cat({x, torch::ones({x.size(0), 1}, x.options())}, 1); }

// [n, classes]: 1 at the label, -1 elsewhere.
Tensor signs(const Tensor& label, int64_t classes, const at::TensorOptions& options) {
  return torch::full({label.size(0), classes}, -1.0, options)
      .scatter_(1, label.to(options.device()).unsqueeze(1), 1.0);
}

Tensor scores(const Tensor& x, const Tensor& weight) { return with_one(x).mm(weight.t()); }

double share_of(const Tensor& hits) { return hits.to(torch::kDouble).mean().item<double>(); }

// A place among the C, and what it was chosen by: the first of those that are best but for rounding.
struct Choice {
  size_t at = 0;
  double by = -1;
  void offer(size_t candidate, double value) {
    if (value > by + 1e-12) *this = {candidate, value};
  }
};

struct Data {
  Tensor x;      // [n, F] fp64, unit rows
  Tensor label;  // int64 [n] on the CPU
};

Data checked(const char* what, const Tensor& x, const Tensor& label, int64_t classes) {
  check_embeddings(what, x);
  return {unit_rows(x), checked_labels(what, label, x.size(0), classes)};
}

F1 f1_of(const Tensor& weight, const Data& data, int64_t classes) {
  return f1_scores(scores(data.x, weight).argmax(1).cpu(), data.label, classes);
}

// Train and the rest of `count`: a keyed permutation cut behind floor(share count), in its order.
std::pair<Tensor, Tensor> random_split(int64_t count, double share, uint64_t key) {
  std::vector<int64_t> row(static_cast<size_t>(count));
  std::iota(row.begin(), row.end(), 0);
  std::sort(row.begin(), row.end(), [&](int64_t a, int64_t b) {
    return std::pair(mix_key(key, static_cast<uint64_t>(a)), a) <
           std::pair(mix_key(key, static_cast<uint64_t>(b)), b);
  });
  const Tensor order = torch::tensor(row, torch::kLong);
  const auto train = static_cast<int64_t>(std::floor(share * static_cast<double>(count)));
  return {order.narrow(0, 0, train), order.narrow(0, train, count - train)};
}

struct Mean {
  std::vector<double> values;
  double mean() const {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  }
  // Sample standard deviation; 0 of one value.
  double spread() const {
    double sum = 0;
    for (const double value : values) sum += (value - mean()) * (value - mean());
    return values.size() > 1 ? std::sqrt(sum / static_cast<double>(values.size() - 1)) : 0;
  }
};

void add_f1(Measuring& of, const std::string& name, const std::string& title, const Mean& value,
            const std::string& id, nlohmann::json more) {
  if (value.values.size() > 1) more["spread"] = 100 * value.spread();
  of.add(name, {title, "%", 1, Better::higher, true}, 100 * value.mean(), id, more);
}

void measure_random_splits(Measuring& of, const NodeProbeOptions& options, const std::string& fit) {
  const Tensor known = (of.nodes.label >= 0).nonzero().squeeze(1);
  const Tensor rows = of.nodes.rows.index_select(0, known.to(of.nodes.rows.device())),
               label = of.nodes.label.index_select(0, known);
  const int64_t count = label.size(0);
  if (options.share * static_cast<double>(count) < static_cast<double>(options.folds))
    refuse("evaluate.node_share", options.share,
           fmt::format("a share of the {} nodes with a label that is {} or more", count, options.folds));
  Mean micro, macro;
  std::vector<double> chosen;
  for (int64_t split = 0; split < options.splits; ++split) {
    of.report("node probe", split, options.splits);
    const auto [train, rest] =
        random_split(count, options.share,
                     mix_key(mix_key(name_key("node probe"), options.seed), static_cast<uint64_t>(split)));
    const auto pick = [&](const Tensor& index) { return rows.index_select(0, index.to(rows.device())); };
    const NodeProbe probe = probe_by_folds(pick(train), label.index_select(0, train), pick(rest),
                                           label.index_select(0, rest), of.classes, options);
    micro.values.push_back(probe.f1.micro);
    macro.values.push_back(probe.f1.macro);
    chosen.push_back(probe.c);
  }
  of.report("node probe", options.splits, options.splits);
  const std::string how = fmt::format("{}-folds{}-random{}of{}-seed{}", fit, options.folds, options.splits,
                                      options.share, options.seed);
  add_f1(of, "node_f1", "micro-F1", micro, of.id("node-micro-f1-" + how, "nodes", count), {{"c", chosen}});
  add_f1(of, "node_macro_f1", "macro-F1", macro, of.id("node-macro-f1-" + how, "nodes", count), {});
}

void measure_public_split(Measuring& of, const NodeProbeOptions& options, const std::string& fit) {
  const auto rows = [&](const Tensor& nodes) {
    return of.nodes.rows.index_select(0, nodes.to(of.nodes.rows.device()));
  };
  const auto label = [&](const Tensor& nodes) { return of.nodes.label.index_select(0, nodes); };
  const Tensor &train = of.nodes.train, &validation = of.nodes.validation, &measured = of.nodes.measured;
  const NodeProbe probe = probe_by_validation(rows(train), label(train), rows(validation), label(validation),
                                              rows(measured), label(measured), of.classes, options);
  const std::string how = fmt::format("{}-validation{}-train{}", fit, validation.size(0), train.size(0));
  const nlohmann::json more{{"c", probe.c}, {"validation", 100 * probe.chosen_by}};
  const auto id = [&](const char* what) { return of.id(what + how, of.split, measured.size(0)); };
  add_f1(of, "public_f1", "public micro-F1", {{probe.f1.micro}}, id("node-micro-f1-"), more);
  add_f1(of, "public_macro_f1", "public macro-F1", {{probe.f1.macro}}, id("node-macro-f1-"), more);
}

}  // namespace

void NodeProbeOptions::describe(Fields& fields) {
  fields.flag("node_probe", node_probe,
              "of a graph: classify its nodes by logistic regression on a few; also on the split that the "
              "data set came with");
  fields.integer("node_splits", splits, "the mean over so many random splits", at_least(1));
  fields.number("node_share", share, "the share of nodes that a random split learns from", from_below(0, 1));
}

F1 f1_scores(const Tensor& predicted, const Tensor& truth, int64_t classes) {
  const auto count = [&](const Tensor& of) { return of.bincount({}, classes).to(torch::kDouble); };
  const Tensor right = count(truth.masked_select(predicted == truth));
  const Tensor both = count(predicted) + count(truth);  // [classes] = 2 TP + FP + FN
  const Tensor each = torch::where(both > 0, 2 * right / both.clamp_min(1), torch::zeros_like(both));
  return {right.sum().item<double>() / static_cast<double>(truth.size(0)), each.mean().item<double>()};
}

// With x1 = U S V', a minimiser is w = V a, for what is orthogonal to all rows only costs; ||w|| = ||a||, and
// at a = 0 the curvature along an axis is 1 + C s^2 / 4. All classes at once: they share nothing but the
// steps.
std::vector<Tensor> one_versus_rest(const Tensor& x, const Tensor& label, int64_t classes,
                                    const std::vector<double>& c, const NodeProbeOptions& options) {
  const OneThread alone(x.numel() < kSmall);
  const auto [left, scale, turn] = torch::linalg_svd(with_one(x.to(torch::kDouble)), false);
  const Tensor axes = left * scale, sign = signs(label, classes, axes.options());
  const Tensor at_zero = axes.t().mm(sign) / 2;
  Tensor a = torch::zeros({axes.size(1), classes}, axes.options());  // from the last C to the next
  std::vector<Tensor> all;
  for (const double strength : c) {
    const Tensor step = (1 + strength * scale.square() / 4).rsqrt().unsqueeze(1);  // [axes, 1]
    const double enough = options.tolerance * strength * at_zero.norm().item<double>();
    const auto value = [&](const Tensor& scaled, Tensor& gradient) {
      const Tensor at = scaled * step, margin = axes.mm(at) * sign;  // [n, classes]
      const Tensor pull = torch::sigmoid(-margin).mul_(sign);
      gradient.copy_((at - strength * axes.t().mm(pull)) * step);
      return 0.5 * at.square().sum().item<double>() -
             strength * torch::log_sigmoid(margin).sum().item<double>();
    };
    const auto done = [&](const Tensor& gradient) {
      return (gradient / step).norm().item<double>() <= enough;
    };
    a = minimise(value, a / step, done, options.max_iterations).x * step;
    all.push_back(turn.t().mm(a).t().contiguous());
  }
  return all;
}

NodeProbe probe_by_folds(const Tensor& train_rows, const Tensor& train_label, const Tensor& measured_rows,
                         const Tensor& measured_label, int64_t classes, const NodeProbeOptions& options) {
  const torch::NoGradGuard no_grad;
  const Data train = checked("node probe, train", train_rows, train_label, classes),
             test = checked("node probe, measured", measured_rows, measured_label, classes);
  const std::vector<double> c = tried(options);
  std::vector<double> mean(c.size());
  const int64_t rows = train.x.size(0);
  int64_t begin = 0;
  for (int64_t fold = 0; fold < options.folds; ++fold) {
    const int64_t count = rows / options.folds + (fold < rows % options.folds ? 1 : 0);
    const auto rest = [&](const Tensor& of) {
      return torch::cat({of.narrow(0, 0, begin), of.narrow(0, begin + count, rows - begin - count)});
    };
    const Tensor out = train.x.narrow(0, begin, count), out_label = train.label.narrow(0, begin, count);
    const std::vector<Tensor> fits = one_versus_rest(rest(train.x), rest(train.label), classes, c, options);
    const Tensor wanted = signs(out_label, classes, out.options()) > 0;
    for (size_t i = 0; i < c.size(); ++i)
      mean[i] += share_of((scores(out, fits[i]) > 0).eq(wanted).all(1)) / static_cast<double>(options.folds);
    begin += count;
  }
  Choice choice;
  for (size_t i = 0; i < c.size(); ++i) choice.offer(i, mean[i]);
  const Tensor weight = one_versus_rest(train.x, train.label, classes, {c[choice.at]}, options)[0];
  return {f1_of(weight, test, classes), c[choice.at], choice.by};
}

NodeProbe probe_by_validation(const Tensor& train_rows, const Tensor& train_label,
                              const Tensor& validation_rows, const Tensor& validation_label,
                              const Tensor& measured_rows, const Tensor& measured_label, int64_t classes,
                              const NodeProbeOptions& options) {
  const torch::NoGradGuard no_grad;
  const Data train = checked("node probe, train", train_rows, train_label, classes),
             validation = checked("node probe, validation", validation_rows, validation_label, classes),
             test = checked("node probe, measured", measured_rows, measured_label, classes);
  const std::vector<double> c = tried(options);
  const std::vector<Tensor> fits = one_versus_rest(train.x, train.label, classes, c, options);
  Choice choice;
  for (size_t i = 0; i < c.size(); ++i)
    choice.offer(i, share_of(scores(validation.x, fits[i]).argmax(1).cpu() == validation.label));
  return {f1_of(fits[choice.at], test, classes), c[choice.at], choice.by};
}

void measure_nodes(Measuring& of, const NodeProbeOptions& options) {
  const torch::NoGradGuard no_grad;
  const std::vector<double> c = tried(options);
  const std::string fit =
      fmt::format("one-versus-rest-logistic-unit-c{}to{}by{}", c.front(), c.back(), c.size());
  measure_random_splits(of, options, fit);
  if (of.nodes.train.numel() > 0 && of.nodes.validation.numel() > 0 && of.nodes.measured.numel() > 0)
    measure_public_split(of, options, fit);
}

}  // namespace foil
