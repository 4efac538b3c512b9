// SPDX-License-Identifier: BSD-3-Clause
#include <foil/host.h>

#include "config/parse.h"
#include "config/reader.h"
#include "loader.h"
#include "model/tower.h"
#include "ranks/world.h"

#include <algorithm>

namespace foil {
namespace {

// "V views [B, D]" is what all of z must be.
void check_views(const Needs& needs, const std::vector<Tensor>& z) {
  const int64_t views = static_cast<int64_t>(z.size());
  if (views < std::max<int64_t>(needs.min_views, 1) || (needs.max_views > 0 && views > needs.max_views)) {
    fail(Exit::usage, "z: ", views, " views, allowed: ", needs.min_views,
         needs.max_views == 0                ? " or more"
         : needs.max_views > needs.min_views ? " to " + std::to_string(needs.max_views)
                                             : "",
         ".");
  }
  for (size_t v = 0; v < z.size(); ++v) {
    if (!z[v].defined() || z[v].dim() != 2 || !z[v].is_floating_point())
      fail(Exit::usage, "z.", v, " is ", z[v].defined() ? z[v].toString() : "undefined", " ",
           z[v].defined() ? z[v].sizes() : at::IntArrayRef{}, ", allowed: floats [B, D].");
    if (z[v].sizes() != z[0].sizes() || z[v].scalar_type() != z[0].scalar_type() || z[v].device() != z[0].device())
      fail(Exit::usage, "z.", v, " is ", z[v].toString(), " ", z[v].sizes(), " but z.0 is ", z[0].toString(), " ", z[0].sizes(),
           "; all views must agree.");
  }
}

// One integer a sample, on the device of z.
Tensor check_column(const char* name, const Tensor& column, const Tensor& z) {
  if (column.dim() != 1 || column.size(0) != z.size(0) || column.scalar_type() != at::kLong)
    fail(Exit::usage, name, " is ", column.toString(), " ", column.sizes(), ", allowed: int64 [", z.size(0), "], one a sample.");
  return column.to(z.device());
}

int64_t above_largest(const Tensor& ids) { return ids.numel() == 0 ? 0 : ids.max().item<int64_t>() + 1; }

}  // namespace

std::vector<std::string> load_plugins(const std::vector<std::string>& folders) {
  std::vector<std::string> refused;
  for (const Refused& one : load_plugins(plugin_folders(folders), Registry::instance())) refused.push_back(one.reason);
  return refused;
}

std::shared_ptr<Loss> make_loss(const std::string& name, const std::string& options) {
  const Component& component = Registry::instance().find("loss", name, "make_loss");
  const Node table = parse_toml(options, "options of " + name);
  TableReader reader(&table, "");
  component.describe(reader);
  reader.finish();
  return std::static_pointer_cast<Loss>(component.make(reader));
}

LossInput make_input(const Loss& loss, std::vector<Tensor> z, Tensor label, Tensor index) {
  const Needs needs = loss.needs();
  check_views(needs, z);
  if (needs.predictor || needs.target || !needs.queues.empty()) {
    fail(Exit::usage, "this loss needs ",
         needs.predictor ? "a predictor"
         : needs.target  ? "a momentum tower"
                         : "a queue",
         ", which only a run has.");
  }
  if (needs.labels && !label.defined()) fail(Exit::usage, "label is missing: this loss needs labels, int64 [", z[0].size(0), "].");
  LossInput input;
  for (const Tensor& view : z) input.z.push_back(needs.raw_z ? view : unit(view));
  input.h = input.z;
  if (label.defined()) input.label = check_column("label", label, z[0]);
  input.index = index.defined() ? check_column("index", index, z[0])
                                : at::arange(z[0].size(0), at::TensorOptions(z[0].device()).dtype(at::kLong));
  input.ranks = World::single();
  input.sizes.z_dim = input.sizes.feature_dim = z[0].size(1);
  input.sizes.views = input.sizes.full_views = static_cast<int64_t>(z.size());
  input.sizes.batch_size = z[0].size(0);
  input.sizes.dataset_size = above_largest(input.index);
  input.sizes.classes = input.label.defined() ? above_largest(input.label) : 0;
  return input;
}

}  // namespace foil
