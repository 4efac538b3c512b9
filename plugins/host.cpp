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

std::string shown(const Tensor& x) {
  if (!x.defined()) return "undefined";
  std::ostringstream text;
  text << x.toString() << " " << x.sizes();
  return text.str();
}

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
      fail(Exit::usage, "z.", v, " is ", shown(z[v]), ", allowed: floats [B, D].");
    if (z[v].sizes() != z[0].sizes() || z[v].scalar_type() != z[0].scalar_type() || z[v].device() != z[0].device())
      fail(Exit::usage, "z.", v, " is ", shown(z[v]), " but z.0 is ", shown(z[0]), "; all views must agree.");
  }
}

// NAME.i, of this shape and of the type and device of z; `what` it is.
Tensor check_given(const char* name, const std::vector<Tensor>& given, size_t i, at::IntArrayRef shape, const std::string& what,
                   const Tensor& z) {
  std::ostringstream kind;
  kind << z.toString() << " " << shape;
  if (i >= given.size() || !given[i].defined())
    fail(Exit::usage, name, ".", i, " is missing: this loss needs ", what, ", ", kind.str(), ".");
  if (given[i].sizes() != shape || given[i].scalar_type() != z.scalar_type() || given[i].device() != z.device())
    fail(Exit::usage, name, ".", i, " is ", shown(given[i]), ", allowed: ", kind.str(), ", ", what, ".");
  return given[i];
}

void check_count(const char* name, const std::vector<Tensor>& given, size_t most) {
  if (given.size() > most)
    fail(Exit::usage, name, ".", most, " is one too many, allowed: ", name, ".0 to ", name, ".", most - 1, ".");
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

LossInput make_input(const Loss& loss, std::vector<Tensor> z, const Given& given) {
  const Needs needs = loss.needs();
  check_views(needs, z);
  if (needs.labels && !given.label.defined())
    fail(Exit::usage, "label is missing: this loss needs labels, int64 [", z[0].size(0), "].");
  const size_t views = z.size();
  const auto seen = [&](const Tensor& x) { return needs.raw_z ? x : unit(x); };
  LossInput input;
  for (const Tensor& view : z) input.z.push_back(seen(view));
  input.h = input.z;
  input.sizes.views = input.sizes.full_views = static_cast<int64_t>(views);
  if (needs.predictor) {
    check_count("p", given.p, views);
    for (size_t v = 0; v < views; ++v)
      input.p.push_back(seen(check_given("p", given.p, v, z[v].sizes(), "the predictor on each view", z[v])));
  }
  if (needs.target) {
    check_count("target", given.target, views);
    const size_t full = std::max({given.target.size(), static_cast<size_t>(needs.min_views), size_t{1}});
    for (size_t v = 0; v < full; ++v) {
      const Tensor target = check_given("target", given.target, v, z[v].sizes(), "z of each view by the momentum encoder", z[v]);
      input.target.push_back(seen(target.detach()));
    }
    input.sizes.full_views = static_cast<int64_t>(full);
  }
  if (!needs.queues.empty()) check_count("queue", given.queue, needs.queues.size());
  for (size_t q = 0; q < needs.queues.size(); ++q) {
    const QueueNeed& need = needs.queues[q];
    const std::string what = "as many earlier rows of " + std::string(need.source == QueueNeed::Source::online ? "z." : "target.") +
                             std::to_string(need.view) + " as its options say";
    const Tensor rows = check_given("queue", given.queue, q, {need.length, z[0].size(1)}, what, z[0]).detach();
    const Tensor unknown = at::full({need.length}, -1, at::TensorOptions(rows.device()).dtype(at::kLong));
    input.queue.push_back({seen(rows), needs.labels ? unknown : Tensor(), unknown, need.length, need.view});
  }
  if (given.label.defined()) input.label = check_column("label", given.label, z[0]);
  input.index = given.index.defined() ? check_column("index", given.index, z[0])
                                      : at::arange(z[0].size(0), at::TensorOptions(z[0].device()).dtype(at::kLong));
  input.ranks = World::single();
  input.sizes.z_dim = input.sizes.feature_dim = z[0].size(1);
  input.sizes.batch_size = z[0].size(0);
  input.sizes.dataset_size = above_largest(input.index);
  input.sizes.classes = input.label.defined() ? above_largest(input.label) : 0;
  return input;
}

}  // namespace foil
