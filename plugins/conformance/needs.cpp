// SPDX-License-Identifier: BSD-3-Clause
// What a loss reads against what its needs() asks for. What was not asked for is once not there, as in
// training, and once there with other contents: neither may matter. A failure names the input and the line of
// needs() that asks for it.
#include "api/loss_tensors.h"
#include "graphs.h"
#include "losses.h"
#include "outcomes.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <limits>
#include <optional>

namespace foil::conformance {
namespace {

// A sound tensor of a kind: of floats rows of `fill`, which nan turns into poison.
Tensor sound(const TensorKind& kind, int64_t rows, double fill) {
  using Columns = TensorKind::Columns;
  if (kind.columns == Columns::ends) return torch::arange(4).view({2, 2});
  const bool of_nodes = kind.columns == Columns::decoded || kind.columns == Columns::data;
  if (!of_nodes && !kind.is_float()) return torch::arange(rows) % 2;
  const int64_t width = of_nodes ? kNodeFeatures : kind.columns == Columns::features ? kFeatures : kWidth;
  return torch::full({rows, width}, fill, torch::kDouble) + 0.1 * torch::arange(rows).unsqueeze(1);
}

// What needs() leaves out of a kind.
void give(const TensorKind& kind, Batch& batch, double fill) {
  const bool in_queue = kind.per == TensorKind::Per::queue;
  if (in_queue && batch.queue.empty()) batch.queue.push_back({{}, {}, {}, kBatch, 0});
  if (!in_queue) kind.resize(batch, kind.per == TensorKind::Per::batch ? 1 : batch.z.size());
  for (size_t i = 0; i < kind.count(batch); ++i) {
    const int64_t rows = in_queue && batch.queue[i].data.defined() ? batch.queue[i].data.size(0) : kBatch;
    kind.at(batch, i) = sound(kind, rows, fill);
  }
  for (View& view : batch.views) view.kind = Kind::graph;
}

// What needs() leaves out and a loss could read all the same. Of a queue that nobody asked for, its rows, and
// of views their data; their parts come with them. A weight that nobody asked for has no name to be read by.
std::vector<const TensorKind*> left_out(const Needs& needs) {
  std::vector<const TensorKind*> kinds;
  for (const TensorKind& kind : tensor_kinds()) {
    const bool always = kind.per == TensorKind::Per::batch && kind.columns == TensorKind::Columns::index;
    const bool of_whole = kind.is_part() && (kind.per != TensorKind::Per::queue || needs.queues.empty());
    if (!kind.asked(needs, 0) && !always && !of_whole && kind.per != TensorKind::Per::weight)
      kinds.push_back(&kind);
  }
  return kinds;
}

void give_all(const TensorKind& kind, Batch& batch, double fill) {
  const bool whole = !kind.is_part() && (kind.per == TensorKind::Per::whole_view ||
                                         (kind.per == TensorKind::Per::queue && batch.queue.empty()));
  give(kind, batch, fill);
  for (const TensorKind& part : tensor_kinds())
    if (whole && part.per == kind.per && part.is_part() && !part.is_float()) give(part, batch, fill);
}

// As a loss calls it: "views" where a kind is a part of them.
const char* member_of(const TensorKind& kind) {
  return kind.per == TensorKind::Per::whole_view ? "views" : kind.name;
}

constexpr double kPoison = std::numeric_limits<double>::quiet_NaN();

// A step's outcome, or what it threw.
struct Attempt {
  std::optional<Outcome> outcome;
  std::string error;
};

Attempt attempt(const Subject& subject, const OptionSet& set, const std::function<void(Batch&)>& change) {
  Trial trial(subject.component, set);
  Batch batch = trial.batch(1);
  change(batch);
  try {
    return {trial.step(batch), ""};
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return {std::nullopt, text.substr(0, text.find('\n'))};
  }
}

// Why a step fails on what was asked for: the input that mends it.
std::string missing(const Subject& subject, const OptionSet& set, const Needs& needs,
                    const std::string& error) {
  for (const TensorKind* kind : left_out(needs)) {
    if (attempt(subject, set, [&](Batch& batch) { give_all(*kind, batch, 1); }).outcome)
      return fmt::format("it reads input.{}, for which needs() does not ask: {} ({})", member_of(*kind),
                         kind->asks, error);
  }
  return error;
}

// A parameter or buffer with a row for each sample of the data set; empty for none.
std::string kept_by_sample(const Subject& subject, const OptionSet& set) {
  const Trial trial(subject.component, set);
  for (const auto& [name, tensor] : trial.state())
    if (tensor.dim() > 0 && tensor.size(0) == trial.dataset_size()) return name;
  return "";
}

}  // namespace

void needs_are_honest(const Subject& subject, Item& item) {
  for (const OptionSet& set : subject.sets.single) {
    const Needs needs = Trial(subject.component, set).needs();
    const std::string by_sample = kept_by_sample(subject, set);
    item.expect(
        needs.index || by_sample.empty(), set.text,
        fmt::format(
            "{} has a row for each sample, and needs() does not ask for input.index: needs.index = true",
            by_sample));
    const Attempt bare = attempt(subject, set, [](Batch&) {});
    if (!bare.outcome) {
      item.fail(set.text, missing(subject, set, needs, bare.error));
      continue;
    }
    for (const TensorKind* kind : left_out(needs)) {
      const Attempt poisoned = attempt(subject, set, [&](Batch& batch) { give_all(*kind, batch, kPoison); });
      Item compared("");
      if (poisoned.outcome) expect_equal_bits(compared, "", *poisoned.outcome, *bare.outcome);
      item.expect(
          poisoned.outcome && !compared.failed(), set.text,
          fmt::format("what is in input.{} matters where there is one, and needs() does not ask for it: {}",
                      member_of(*kind), kind->asks));
    }
  }
}

}  // namespace foil::conformance
