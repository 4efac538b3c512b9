// SPDX-License-Identifier: BSD-3-Clause
#include "experiment/node_picture.h"

#include "data/selection.h"
#include "evaluate/evaluate.h"
#include "evaluate/principal_plane.h"
#include "study/plot.h"

#include <foil/random.h>

#include <fmt/format.h>
#include <torch/types.h>

namespace foil {
namespace {

constexpr int64_t kMostDots = 5000;

std::string axis_name(const char* which, double share) {
  return fmt::format("{} axis, {:.0f} % of the variance", which, 100 * share);
}

}  // namespace

std::string node_picture(Experiment& experiment) {
  const Dataset& data = *experiment.dataset;
  if (!has_nodes(data)) return "";
  const torch::NoGradGuard no_grad;
  experiment.model->eval();
  const Views raw = data.read(Split::train, torch::zeros({1}, torch::kLong));
  const Tensor h =
      experiment.model->forward({experiment.pipeline->evaluation_view(raw)}, experiment.plan.run.bf16()).h[0];
  const Tensor known = (data.node_labels() >= 0).nonzero().squeeze(1);
  const Tensor shown = known.index_select(0, draw_rows(known.size(0), kMostDots, name_key("node picture")));
  const Tensor label = data.node_labels().index_select(0, shown);
  const PrincipalPlane plane = principal_plane(h.index_select(0, shown.to(h.device())));
  ScatterPlot plot{fmt::format("{}: {} nodes by class", experiment.plan.data.component->name, shown.size(0)),
                   axis_name("first", plane.first),
                   axis_name("second", plane.second),
                   {}};
  for (const std::string& name : data.classes()) plot.series.push_back({name, {}});
  for (int64_t i = 0; i < label.size(0); ++i)
    plot.series[static_cast<size_t>(label[i].item<int64_t>())].points.emplace_back(
        plane.at[i][0].item<double>(), plane.at[i][1].item<double>());
  return scatter_plot(plot);
}

}  // namespace foil
