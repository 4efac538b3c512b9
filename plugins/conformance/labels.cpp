// SPDX-License-Identifier: BSD-3-Clause
#include "losses.h"
#include "outcomes.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

namespace foil::conformance {

// A label of -1 says that a sample has none: two such samples are not of one class.
void labels_of_none_are_kept(const Subject& subject, Item& item) {
  const auto with = [](Batch batch, std::vector<int64_t> label) {
    batch.label = torch::tensor(label, torch::kLong);
    return batch;
  };
  const auto same = [](const Outcome& a, const Outcome& b) {
    return torch::equal(a.value, b.value) &&
           std::all_of(a.gradients.begin(), a.gradients.end(), [&](const auto& gradient) {
             return torch::equal(gradient.second, b.gradients.at(gradient.first));
           });
  };
  for (const OptionSet& set : subject.sets.single) {
    Trial trial(subject.component, set);
    if (!trial.needs().labels) continue;
    const Batch batch = trial.batch(0);
    const Outcome one = trial.evaluate(with(batch, {0, 1, 0, 2, 1, 2, 0})),
                  two = trial.evaluate(with(batch, {0, 1, 0, 2, 1, 3, 0}));
    const Outcome none = trial.evaluate(with(batch, {0, 1, 0, -1, 1, -1, 0}));
    item.expect(same(one, two) || !same(none, one), set.text,
                "two samples without a label, -1, are of one class; foil::same_class keeps them apart");
    item.expect_finite(set.text + ", two samples without a label", "the value", none.value);
    try {
      item.expect_finite(set.text + ", no sample with a label", "the value",
                         trial.evaluate(with(batch, std::vector<int64_t>(kBatch, -1))).value);
    } catch (const Error& error) {
      item.note(set.text + ", no sample with a label, is refused: " + error.what());
    }
  }
}

}  // namespace foil::conformance
