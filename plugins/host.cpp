// SPDX-License-Identifier: BSD-3-Clause
// A loss outside a run: made by name, set up, and given its input with every tensor checked.
#include "config/parse.h"
#include "config/reader.h"
#include "loader.h"
#include "model/tower.h"
#include "model/weights.h"
#include "no_autocast.h"
#include "plain_words.h"
#include "ranks/world.h"

#include <foil/host.h>

#include <algorithm>

namespace foil {
namespace {

// Rows of a data set, or classes, that are believed without being told: what is kept for each of them stays
// small.
constexpr int64_t kMostRows = int64_t{1} << 24;

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
    for (const int64_t d : {0, 1})
      if (z[v].size(d) == 0)
        fail(Exit::usage, "z.", v, " has no ", d == 0 ? "rows" : "columns", ": it is ", shown(z[v]), ".");
    if (z[v].sizes() != z[0].sizes() || z[v].scalar_type() != z[0].scalar_type() ||
        z[v].device() != z[0].device())
      fail(Exit::usage, "z.", v, " is ", shown(z[v]), " but z.0 is ", shown(z[0]), "; all views must agree.");
  }
}

// NAME.i, of this shape and of the type and device of z; `what` it is.
Tensor check_given(const char* name, const std::vector<Tensor>& given, size_t i, at::IntArrayRef shape,
                   const std::string& what, const Tensor& z) {
  std::ostringstream kind;
  kind << z.toString() << " " << shape;
  if (i >= given.size() || !given[i].defined())
    fail(Exit::usage, name, ".", i, " is missing: this loss needs ", what, ", ", kind.str(), ".");
  if (given[i].sizes() != shape || given[i].scalar_type() != z.scalar_type() ||
      given[i].device() != z.device())
    fail(Exit::usage, name, ".", i, " is ", shown(given[i]), ", allowed: ", kind.str(), ", ", what, ".");
  return given[i];
}

void check_count(const char* name, const std::vector<Tensor>& given, size_t most) {
  if (given.size() > most)
    fail(Exit::usage, name, ".", most, " is one too many, allowed: ", name, ".0 to ", name, ".", most - 1,
         ".");
}

// The range of ids, as messages say it.
struct IdRange {
  int64_t low = 0;
  int64_t count = 0;        // the highest is one less; 0: not given
  const char* unless = "";  // what would allow more
};

// One integer a row of `rows`, on the device of z. `what` it is.
Tensor check_ids(const std::string& name, const Tensor& ids, int64_t rows, const std::string& what,
                 const IdRange& range, const Tensor& z) {
  if (ids.dim() != 1 || ids.size(0) != rows || ids.scalar_type() != at::kLong)
    fail(Exit::usage, name, " is ", shown(ids), ", allowed: int64 [", rows, "], ", what, ".");
  const int64_t high = (range.count > 0 ? range.count : kMostRows) - 1;
  const Tensor wrong = ((ids < range.low) | (ids > high)).nonzero();
  if (wrong.numel() > 0) {
    const int64_t row = wrong[0].item<int64_t>();
    fail(Exit::usage, name, " is ", ids[row].item<int64_t>(), " in row ", row, ", allowed: ", range.low,
         " to ", high, range.count > 0 ? "" : range.unless, ".");
  }
  return ids.to(z.device());
}

int64_t above_largest(const Tensor& ids) { return ids.numel() == 0 ? 0 : ids.max().item<int64_t>() + 1; }

IdRange of_classes(const Sizes& sizes) { return {-1, sizes.classes, ""}; }
IdRange of_rows(const Sizes& sizes) { return {0, sizes.dataset_size, ", unless the dataset_size is given"}; }

// The size that was given, which the tensors must not contradict, or theirs.
int64_t settled(const char* name, int64_t given, int64_t seen) {
  if (given != 0 && given != seen)
    fail(Exit::usage, "sizes: ", name, " = ", given, ", but the tensors say ", seen, ".");
  return seen;
}

// Features of each view, [B, F] with one F.
std::vector<Tensor> check_features(const std::vector<Tensor>& h, const std::vector<Tensor>& z) {
  check_count("h", h, z.size());
  std::vector<Tensor> all;
  for (size_t v = 0; v < z.size(); ++v) {
    if (v >= h.size() || !h[v].defined())
      fail(Exit::usage, "h.", v, " is missing: this loss needs features before the head, ", z[v].toString(),
           " [", z[v].size(0), ", F].");
    if (h[v].dim() != 2 || h[v].size(1) == 0)
      fail(Exit::usage, "h.", v, " is ", shown(h[v]), ", allowed: ", z[v].toString(), " [", z[v].size(0),
           ", F].");
    all.push_back(check_given("h", h, v, {z[v].size(0), h[0].size(1)}, "features before the head", z[v]));
  }
  return all;
}

std::vector<Tensor> check_targets(const std::vector<Tensor>& target, const Needs& needs,
                                  const std::vector<Tensor>& z) {
  check_count("target", target, z.size());
  std::vector<Tensor> all;
  for (size_t v = 0; v < std::max({target.size(), static_cast<size_t>(needs.min_views), size_t{1}}); ++v)
    all.push_back(
        check_given("target", target, v, z[v].sizes(), "z of each view by the momentum encoder", z[v]));
  return all;
}

Queue queue_of(const QueueNeed& need, size_t q, const Given& given, const Tensor& z) {
  const std::string name = "queue." + std::to_string(q);
  const std::string source = need.source == QueueNeed::Source::online ? "z." : "target.";
  const std::string what =
      "as many earlier rows of " + source + std::to_string(need.view) + " as its options say";
  Queue queue{check_given("queue", given.queue, q, {need.length, z.size(1)}, what, z).detach(),
              {},
              {},
              need.length,
              need.view};
  const auto column = [&](const char* kind, const std::vector<Tensor>& all, const char* of_each,
                          const IdRange& range) {
    const std::string column_name = std::string(kind) + "." + std::to_string(q);
    const std::string wanted = std::string("the ") + of_each + " of each row of " + name;
    if (q >= all.size() || !all[q].defined())
      fail(Exit::usage, column_name, " is missing: this loss needs ", wanted, ", int64 [", need.length, "].");
    return check_ids(column_name, all[q], need.length, wanted, range, z);
  };
  if (need.label) queue.label = column("queue_label", given.queue_label, "label", of_classes(given.sizes));
  if (need.index)
    queue.index = column("queue_index", given.queue_index, "index", {-1, given.sizes.dataset_size, ""});
  return queue;
}

}  // namespace

std::vector<std::string> load_plugins(const std::vector<std::string>& folders) {
  std::vector<std::string> refused;
  for (const Refused& one : load_plugins(plugin_folders(folders), Registry::instance()))
    refused.push_back(one.reason);
  return refused;
}

std::shared_ptr<Loss> make_loss(const std::string& name, const std::string& options) {
  const Component& component = Registry::instance().find("loss", name, "make_loss");
  const Node table = parse_toml(options, "options of " + name);
  TableReader reader(&table, "");
  component.describe(reader);
  reader.finish();
  try {
    return std::static_pointer_cast<Loss>(component.make(reader));
  } catch (const Error& error) {
    throw reader.with_place(error);
  }
}

void set_up(Loss& loss, const Sizes& sizes) {
  const std::pair<const char*, int64_t> named[] = {{"z_dim", sizes.z_dim},
                                                   {"feature_dim", sizes.feature_dim},
                                                   {"dataset_size", sizes.dataset_size},
                                                   {"classes", sizes.classes},
                                                   {"views", sizes.views},
                                                   {"batch_size", sizes.batch_size}};
  std::string text, missing;
  for (const auto& [name, size] : named) {
    if (size < 0) fail(Exit::usage, "sizes: ", name, " = ", size, ", allowed: an integer >= 0.");
    (size > 0 ? text : missing) += (size > 0 ? text : missing).empty() ? "" : ", ";
    size > 0 ? text += std::string(name) + " = " + std::to_string(size) : missing += name;
  }
  if (loss.needs().index && sizes.dataset_size == 0)
    fail(Exit::usage, "dataset_size is missing from the sizes: this loss keeps state per sample.");
  const std::string what = "the set-up of the loss failed for " + (text.empty() ? "no sizes" : text) +
                           (missing.empty() ? "" : " (not given: " + missing + ")");
  in_plain_words(what, [&] { loss.setup(sizes); });
  for (const auto& [name, tensor] : named_tensors(loss)) {
    if (tensor.numel() == 0 && !missing.empty())
      fail(Exit::usage, "'", name, "' of this loss is empty, ", tensor.sizes(),
           ": one of its sizes is not given: ", missing, ".");
  }
}

LossInput make_input(const Loss& loss, std::vector<Tensor> z, const Given& given) {
  const NoAutocast guard;
  const Needs needs = loss.needs();
  check_views(needs, z);
  const int64_t rows = z[0].size(0);
  if (needs.labels && !given.label.defined())
    fail(Exit::usage, "label is missing: this loss needs labels, int64 [", rows, "].");
  if (needs.index && !given.index.defined())
    fail(Exit::usage, "index is missing: this loss keeps state per sample, int64 [", rows,
         "], rows of the data set.");
  const size_t views = z.size();
  const auto wide = [](const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); };
  const auto seen = [&](const Tensor& x) { return needs.raw_z ? wide(x) : unit(x); };
  LossInput input;
  for (const Tensor& view : z) input.z.push_back(seen(view));
  if (needs.features) {
    for (const Tensor& features : check_features(given.h, z)) input.h.push_back(wide(features));
  }
  input.sizes = given.sizes;
  input.sizes.views = settled("views", given.sizes.views, static_cast<int64_t>(views));
  input.sizes.full_views = given.sizes.full_views > 0 ? given.sizes.full_views : input.sizes.views;
  if (needs.predictor) {
    check_count("p", given.p, views);
    for (size_t v = 0; v < views; ++v)
      input.p.push_back(seen(check_given("p", given.p, v, z[v].sizes(), "the predictor on each view", z[v])));
  }
  if (needs.target) {
    for (const Tensor& target : check_targets(given.target, needs, z))
      input.target.push_back(seen(target.detach()));
    input.sizes.full_views = static_cast<int64_t>(input.target.size());
  }
  if (!needs.queues.empty()) check_count("queue", given.queue, needs.queues.size());
  for (size_t q = 0; q < needs.queues.size(); ++q) {
    input.queue.push_back(queue_of(needs.queues[q], q, given, z[0]));
    input.queue.back().data = seen(input.queue.back().data);
  }
  Tensor label;
  if (given.label.defined())
    label = check_ids("label", given.label, rows, "one a sample", of_classes(given.sizes), z[0]);
  if (needs.labels) input.label = label;
  input.index = given.index.defined()
                    ? check_ids("index", given.index, rows, "one a sample", of_rows(given.sizes), z[0])
                    : at::arange(rows, at::TensorOptions(z[0].device()).dtype(at::kLong));
  input.ranks = World::single();
  input.sizes.z_dim = settled("z_dim", given.sizes.z_dim, z[0].size(1));
  if (needs.features)
    input.sizes.feature_dim = settled("feature_dim", given.sizes.feature_dim, input.h[0].size(1));
  const auto fill = [](int64_t& size, int64_t seen) { size = size > 0 ? size : seen; };
  fill(input.sizes.feature_dim, z[0].size(1));
  fill(input.sizes.batch_size, rows);
  fill(input.sizes.dataset_size, above_largest(input.index));
  if (input.label.defined()) fill(input.sizes.classes, above_largest(input.label));
  return input;
}

}  // namespace foil
