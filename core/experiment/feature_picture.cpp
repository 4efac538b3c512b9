// SPDX-License-Identifier: BSD-3-Clause
// Encodes the samples that are shown once more, a batch at a time.
#include "experiment/feature_picture.h"

#include "data/selection.h"
#include "evaluate/encode.h"
#include "evaluate/principal_plane.h"
#include "study/plot.h"

#include <foil/random.h>

#include <fmt/format.h>
#include <torch/types.h>

namespace foil {
namespace {

constexpr int64_t kMostDots = 2000;
constexpr size_t kMostClasses = 20;  // more colours nobody tells apart

std::string axis_name(const char* which, double share) {
  return fmt::format("{} axis, {:.0f} % of the variance", which, 100 * share);
}

// Features [n, F] of these samples of a split, on the CPU.
Tensor features_of(Experiment& experiment, Split split, const Tensor& index) {
  const Dataset& data = *experiment.dataset;
  std::vector<Tensor> parts;
  for (const Tensor& some : index.split(experiment.plan.evaluate.batch_size)) {
    const View view = experiment.pipeline->evaluation_view(data.read(split, some));
    const Tensor h = experiment.model->forward({view}, experiment.plan.run.bf16()).h[0];
    if (data.nodes(split).defined()) return rows_of(h, data, split, index).cpu();  // those of all nodes
    parts.push_back(h.cpu());
  }
  return torch::cat(parts);
}

}  // namespace

std::string feature_picture(Experiment& experiment) {
  const Dataset& data = *experiment.dataset;
  if (experiment.pipeline->modalities().size() > 1 || data.classes().size() > kMostClasses) return "";
  const bool graph = has_nodes(data);
  const Split asked = experiment.plan.evaluate.split,
              split = graph || data.size(asked) == 0 ? Split::train : asked;
  const Tensor label = graph ? data.node_labels() : data.labels(split);
  if (!label.defined()) return "";
  const Tensor known = (label >= 0).nonzero().squeeze(1);
  if (known.size(0) == 0) return "";
  const Tensor shown = known.index_select(0, draw_rows(known.size(0), kMostDots, name_key("picture")));
  const torch::NoGradGuard no_grad;
  experiment.model->eval();
  const PrincipalPlane plane = principal_plane(features_of(experiment, split, shown));
  ScatterPlot plot{fmt::format("{}: {} {} by class", experiment.plan.data.component->name, shown.size(0),
                               graph ? "nodes" : fmt::format("samples ({})", name_of(split))),
                   axis_name("first", plane.first),
                   axis_name("second", plane.second),
                   {}};
  for (const std::string& name : data.classes()) plot.series.push_back({name, {}});
  for (int64_t i = 0; i < shown.size(0); ++i)
    plot.series[static_cast<size_t>(label[shown[i].item<int64_t>()].item<int64_t>())].points.emplace_back(
        plane.at[i][0].item<double>(), plane.at[i][1].item<double>());
  return scatter_plot(plot);
}

}  // namespace foil
