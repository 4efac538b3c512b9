// SPDX-License-Identifier: BSD-3-Clause
#include "evaluate/class_frequency.h"

#include "evaluate/measuring.h"

#include <torch/types.h>

namespace foil {

std::vector<FrequencyGroup> frequency_groups(const Tensor& train_labels, int64_t classes) {
  const Tensor order =
      std::get<1>(train_labels.bincount({}, classes).sort(/*stable=*/true, 0, /*descending=*/true));
  const int64_t third = (2 * classes + 3) / 6;  // round(classes / 3)
  const std::vector<int64_t> sorted(order.const_data_ptr<int64_t>(),
                                    order.const_data_ptr<int64_t>() + classes);
  const auto part = [&](int64_t from, int64_t to) {
    return std::vector<int64_t>(sorted.begin() + from, sorted.begin() + to);
  };
  std::vector<FrequencyGroup> groups{{"many", part(0, third)},
                                     {"medium", part(third, classes - third)},
                                     {"few", part(classes - third, classes)}};
  std::erase_if(groups, [](const FrequencyGroup& group) { return group.classes.empty(); });
  return groups;
}

std::optional<double> group_mean(const Tensor& values, const Tensor& labels, const FrequencyGroup& group) {
  const Tensor all = values.cpu().to(torch::kDouble);
  const Tensor member = torch::isin(labels.cpu(), torch::tensor(group.classes, torch::kLong))
                            .logical_and(all.isfinite())
                            .logical_and(all > std::numeric_limits<float>::lowest());
  if (!member.any().item<bool>()) return {};
  return all.masked_select(member).mean().item<double>();
}

void measure_class_frequency(Measuring& of) {
  const std::vector<FrequencyGroup> groups = frequency_groups(of.bank.label, of.classes);
  for (const Accuracy& whole : of.accuracies) {
    for (const FrequencyGroup& group : groups) {
      const std::optional<double> share = group_mean(whole.hits, of.queries.label, group);
      if (!share) continue;
      Measure part = whole.measure;
      part.title += " " + group.name;
      of.add(whole.name + "_" + group.name, part, 100 * *share,
             whole.protocol + "/" + group.name + "-third-of-classes",
             {{"part_of", whole.name}, {"classes", group.classes}});
    }
  }
}

}  // namespace foil
