// SPDX-License-Identifier: BSD-3-Clause
// What a loss reads against what its needs() asks for. What was not asked for is once not there, as in
// training, and once there with other contents: neither may matter. A failure names the input and the line of
// needs() that asks for it.
#include "losses.h"
#include "outcomes.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <limits>
#include <optional>

namespace foil::conformance {
namespace {

// An input that needs() may leave out.
struct Input {
  const char* name;  // as forward reads it
  const char* asked;
  bool (*is_asked)(const Needs&);
  void (*give)(Batch&, double fill);  // a sound one: rows of `fill`, which nan turns into poison
};

Tensor rows_of(double fill, int64_t width) {
  return torch::full({kBatch, width}, fill, torch::kDouble) +
         torch::arange(kBatch, torch::kDouble).unsqueeze(1) * 0.1;
}

const Input kInputs[] = {
    {"input.label", "needs.labels = true", [](const Needs& n) { return n.labels; },
     [](Batch& b, double) { b.label = torch::arange(kBatch) % 2; }},
    {"input.h", "needs.features = true", [](const Needs& n) { return n.features; },
     [](Batch& b, double fill) { b.h.assign(b.z.size(), rows_of(fill, kFeatures)); }},
    {"input.p", "needs.predictor = true", [](const Needs& n) { return n.predictor; },
     [](Batch& b, double fill) { b.p.assign(b.z.size(), rows_of(fill, kWidth)); }},
    {"input.target", "needs.target = true", [](const Needs& n) { return n.target; },
     [](Batch& b, double fill) { b.target.assign(b.z.size(), rows_of(fill, kWidth)); }},
    {"input.queue", "needs.queues", [](const Needs& n) { return !n.queues.empty(); },
     [](Batch& b, double fill) {
       b.queue = {{rows_of(fill, kWidth), b.label, torch::arange(kBatch), kBatch, 0}};
     }},
};

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
  for (const Input& input : kInputs) {
    if (input.is_asked(needs)) continue;
    if (attempt(subject, set, [&](Batch& batch) { input.give(batch, 1); }).outcome)
      return fmt::format("it reads {}, for which needs() does not ask: {} ({})", input.name, input.asked,
                         error);
  }
  return error;
}

// A parameter or buffer with a row for each sample of the data set; empty for none.
std::string kept_by_sample(const Subject& subject, const OptionSet& set) {
  for (const auto& [name, tensor] : Trial(subject.component, set).state())
    if (tensor.dim() > 0 && tensor.size(0) == kDatasetSize) return name;
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
    for (const Input& input : kInputs) {
      if (input.is_asked(needs)) continue;
      const Attempt poisoned = attempt(subject, set, [&](Batch& batch) { input.give(batch, kPoison); });
      Item compared("");
      if (poisoned.outcome) expect_equal_bits(compared, "", *poisoned.outcome, *bare.outcome);
      item.expect(poisoned.outcome && !compared.failed(), set.text,
                  fmt::format("what is in {} matters where there is one, and needs() does not ask for it: {}",
                              input.name, input.asked));
    }
  }
}

}  // namespace foil::conformance
