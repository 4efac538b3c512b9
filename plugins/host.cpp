// SPDX-License-Identifier: BSD-3-Clause
// A loss outside a run: made by name, set up, and given its input with every tensor checked.
#include "api/loss_tensors.h"
#include "api/no_autocast.h"
#include "api/plain_words.h"
#include "config/parse.h"
#include "config/reader.h"
#include "loader.h"
#include "model/weights.h"
#include "ranks/world.h"
#include "view_input.h"

#include <foil/host.h>

#include <algorithm>

namespace foil {
namespace {

// So many rows of a data set, or classes, are believed where their number is not given: what a loss keeps for
// each of them stays small.
constexpr int64_t kMostRows = int64_t{1} << 24;

std::string shown(const Tensor& x) {
  if (!x.defined()) return "undefined";
  std::ostringstream text;
  text << x.toString() << " " << x.sizes();
  return text.str();
}

void check_views(const Needs& needs, const std::vector<Tensor>& z) {
  const int64_t views = static_cast<int64_t>(z.size());
  if (views < std::max<int64_t>(needs.min_views, 1) ||
      (needs.max_views != any_number && views > needs.max_views))
    fail(Exit::usage, "z: ", views, views == 1 ? " view" : " views", ", allowed: ", views_text(needs), ".");
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

// Checks the embeddings, queues and ids of an input, kind by kind.
class Check {
 public:
  Check(const Needs& needs, const Sizes& sizes, LossInput& input)
      : needs_(needs), sizes_(sizes), input_(input), z_(input.z.at(0)) {}

  // Those of `kind`: where the loss asks for them, all must be there and fit. Others need not be there.
  void operator()(const TensorKind& kind) {
    if (!is_checked_here(kind)) return;
    const size_t there = kind.count(input_), most = number(kind);
    if (there > most && kind.asked(needs_, 0))
      fail(Exit::usage, kind.name, ".", most, " is one too many, allowed: ", kind.name, ".0 to ", kind.name,
           ".", most - 1, ".");
    for (size_t i = 0; i < std::max(there, least(kind)); ++i) {
      const bool given = i < there && kind.at(input_, i).defined();
      if (kind.asked(needs_, i) && !given)
        fail(Exit::usage, kind.name_of(input_, i), " is missing: this loss ", wants(kind, i), ".");
      if (given && (kind.asked(needs_, i) || kind.per == TensorKind::Per::batch)) fit(kind, i);
    }
  }

 private:
  static bool is_checked_here(const TensorKind& kind) {
    return kind.per != TensorKind::Per::whole_view && kind.per != TensorKind::Per::weight &&
           kind.columns != TensorKind::Columns::decoded;
  }
  size_t number(const TensorKind& kind) const {
    if (kind.per == TensorKind::Per::batch) return 1;
    return kind.per == TensorKind::Per::queue ? needs_.queues.size() : input_.z.size();
  }
  // The least number of tensors of a kind. A host may give the targets of the first views only.
  size_t least(const TensorKind& kind) const {
    if (kind.per != TensorKind::Per::full_view) return number(kind);
    return static_cast<size_t>(std::max<int64_t>(needs_.min_views, 1));
  }
  int64_t rows(const TensorKind& kind, size_t i) const {
    return kind.per == TensorKind::Per::queue ? needs_.queues[i].length : z_.size(0);
  }
  // The width that all of a kind must have; -1 where the first one says it.
  int64_t width(const TensorKind& kind, size_t i) const {
    if (kind.columns == TensorKind::Columns::z) return z_.size(1);
    return i > 0 && kind.at(input_, 0).dim() == 2 ? kind.at(input_, 0).size(1) : -1;
  }
  std::string wants(const TensorKind& kind, size_t i) const {
    if (kind.per == TensorKind::Per::batch && kind.columns == TensorKind::Columns::index)
      return "keeps state per sample, " + allowed(kind, i) + ", rows of the data set";
    return "needs " + what(kind, i) + ", " + allowed(kind, i);
  }
  std::string what(const TensorKind& kind, size_t i) const {
    if (kind.per != TensorKind::Per::queue) return kind.what;
    if (!kind.is_float()) return kind.what + (" of queue." + std::to_string(i));
    const QueueNeed& need = needs_.queues[i];
    return std::string("as many earlier rows of ") +
           (need.source == QueueNeed::Source::online ? "z." : "target.") + std::to_string(need.view) +
           " as its options say";
  }
  std::string allowed(const TensorKind& kind, size_t i) const {
    const std::string n = std::to_string(rows(kind, i));
    if (!kind.is_float()) return "int64 [" + n + "]";
    const int64_t columns = width(kind, i);
    return z_.toString() + " [" + n + ", " + (columns < 0 ? "F" : std::to_string(columns)) + "]";
  }

  void fit(const TensorKind& kind, size_t i) {
    Tensor& x = kind.at(input_, i);
    const bool one_each = kind.per == TensorKind::Per::batch;
    const auto refused = [&] {
      fail(Exit::usage, kind.name_of(input_, i), " is ", shown(x), ", allowed: ", allowed(kind, i), ", ",
           one_each ? "one a sample" : what(kind, i), ".");
    };
    if (!kind.is_float()) {
      if (x.dim() != 1 || x.size(0) != rows(kind, i) || x.scalar_type() != at::kLong) refused();
      in_range(kind, i, x);
      x = x.to(z_.device());
      return;
    }
    const int64_t columns = width(kind, i);
    if (x.dim() != 2 || x.size(0) != rows(kind, i) || x.size(1) == 0 ||
        (columns >= 0 && x.size(1) != columns) || x.scalar_type() != z_.scalar_type() ||
        x.device() != z_.device())
      refused();
  }

  void in_range(const TensorKind& kind, size_t i, const Tensor& ids) const {
    const bool label = kind.columns == TensorKind::Columns::label;
    const int64_t count = label ? sizes_.classes : sizes_.dataset_size;  // 0: not given
    const int64_t low = label || !kind.per_sample() ? -1 : 0;            // -1: has none, has not entered
    const int64_t high = (count > 0 ? count : kMostRows) - 1;
    const Tensor wrong = ((ids < low) | (ids > high)).nonzero();
    if (wrong.numel() == 0) return;
    const int64_t row = wrong[0].item<int64_t>();
    fail(Exit::usage, kind.name_of(input_, i), " is ", ids[row].item<int64_t>(), " in row ", row,
         ", allowed: ", low, " to ", high, count > 0 || low < 0 ? "" : ", unless the dataset_size is given",
         ".");
  }

  const Needs& needs_;
  const Sizes& sizes_;
  LossInput& input_;
  const Tensor z_;
};

int64_t above_largest(const Tensor& ids) { return ids.numel() == 0 ? 0 : ids.max().item<int64_t>() + 1; }

// The size that was given, which the tensors must not contradict, or theirs.
int64_t settled(const char* name, int64_t given, int64_t seen) {
  if (given != 0 && given != seen)
    fail(Exit::usage, "sizes: ", name, " = ", given, ", but the tensors say ", seen, ".");
  return seen;
}

// The sizes that were given, completed from the tensors.
Sizes completed(const Sizes& given, const Needs& needs, const LossInput& input) {
  Sizes sizes = given;
  sizes.views = settled("views", given.views, static_cast<int64_t>(input.z.size()));
  if (needs.target) sizes.full_views = static_cast<int64_t>(input.target.size());
  sizes.z_dim = settled("z_dim", given.z_dim, input.z[0].size(1));
  if (needs.features) sizes.feature_dim = settled("feature_dim", given.feature_dim, input.h[0].size(1));
  const auto fill = [](int64_t& size, int64_t seen) { size = size > 0 ? size : seen; };
  fill(sizes.full_views, sizes.views);
  fill(sizes.feature_dim, sizes.z_dim);
  fill(sizes.batch_size, input.z[0].size(0));
  fill(sizes.dataset_size, above_largest(input.index));
  if (input.label.defined()) fill(sizes.classes, above_largest(input.label));
  return sizes;
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

LossInput input_from(const Loss& loss, const NamedTensors& tensors, const Sizes& sizes) {
  const NoAutocast guard;
  const Needs needs = loss.needs();
  LossInput given = named_input(tensors);
  check_views(needs, given.z);
  Check check(needs, sizes, given);
  for (const TensorKind& kind : tensor_kinds()) check(kind);
  check_views_and_weights(needs, given);
  const Tensor& z = given.z[0];
  if (!given.index.defined())
    given.index = at::arange(z.size(0), at::TensorOptions(z.device()).dtype(at::kLong));
  for (size_t q = 0; q < given.queue.size(); ++q) {
    if (q < needs.queues.size()) given.queue[q].view = needs.queues[q].view;
    if (q < needs.queues.size()) given.queue[q].filled = needs.queues[q].length;
  }
  for (const NamedTensor& one : tensors_of(given))
    if (!one.kind->differentiable) *one.tensor = one.tensor->detach();
  LossInput input = scaled(selected(needs, given), needs.raw_z);
  input.sizes = completed(sizes, needs, input);
  input.ranks = World::single();
  return input;
}

LossInput make_input(const Loss& loss, const std::vector<Tensor>& z, NamedTensors more, const Sizes& sizes) {
  for (size_t v = 0; v < z.size(); ++v) more["z." + std::to_string(v)] = z[v];
  return input_from(loss, more, sizes);
}

}  // namespace foil
