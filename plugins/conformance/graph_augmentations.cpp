// SPDX-License-Identifier: BSD-3-Clause
// An augmentation sees the whole graph, and was shown the data set once before. What it gives is compared as
// a set of edges: their order says nothing.
#include "graph_augmentations.h"

#include "graphs.h"
#include "outcomes.h"
#include "trial_data.h"
#include "trials.h"

#include <foil/augmentation.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/cuda.h>
#include <torch/types.h>

#include <algorithm>

namespace foil::conformance::graphs {
namespace {

constexpr int64_t kNodes = 7;

AugmentContext place() { return {11, 3, 1, 2, torch::arange(kNodes)}; }

View as_read(bool sparse, bool edges = true) {
  View view = graph_of(kNodes, 0);
  view.data = view.data.to(at::kFloat);
  if (!edges) view = without_edges(view);
  return sparse ? in_csr(view) : view;
}

View of_type(View view, at::ScalarType type) {
  view.data = view.data.to(type);
  return view;
}

// An option set and a layout of the features that the augmentation takes under it.
struct Case {
  OptionSet set;
  bool sparse;
  std::string where() const { return set.text + (sparse ? ", a graph in CSR" : ", a graph"); }
  // Made, and shown the data set, with the edges that it has or without.
  std::shared_ptr<Augmentation> make_one(const Subject& subject, bool edges = true) const {
    auto augmentation = make<Augmentation>(subject.component, set);
    const View whole = as_read(sparse, edges);
    augmentation->setup(
        TrialData({Kind::graph, {kNodeFeatures}}, kNodes, [whole](const Tensor&) { return whole; }));
    return augmentation;
  }
};

std::vector<Case> cases(const Subject& subject, std::vector<std::string>* refused = nullptr) {
  std::vector<Case> found;
  for (const OptionSet& set : subject.sets.single) {
    for (const bool sparse : {false, true}) {
      const Case one{set, sparse};
      const std::vector<Kind> kinds = make<Augmentation>(subject.component, set)->kinds();
      if (std::find(kinds.begin(), kinds.end(), Kind::graph) == kinds.end()) continue;
      const auto said = refusal([&] {
        const auto augmentation = one.make_one(subject);
        augmentation->shape_after({Kind::graph, {kNodeFeatures}});
        augmentation->apply(as_read(sparse), place());
      });
      if (!said)
        found.push_back(one);
      else if (refused)
        refused->push_back(one.where() + ": " + said->text + (said->is_error ? "" : " (not a foil::Error)"));
    }
  }
  return found;
}

// What a view holds, its edges in the order of their ends and ids.
Tensors parts_of(const View& view) {
  const Edges& edges = view.edges;
  if (!view.data.defined() || !edges.ends.defined()) fail(Exit::failure, "the view has no data or no edges");
  const Tensor ends = edges.ends.cpu();
  Tensor place = ends[0] * view.size() + ends[1];
  if (edges.id.defined() && edges.id.numel() > 0) place = place * (edges.id.max() + 1) + edges.id;
  const Tensor order = std::get<1>(place.sort(0));
  Tensors parts{{"the features", dense(view.data)}, {"the edges", ends.index_select(1, order)}};
  if (edges.weight.defined()) parts["the weights of edges"] = edges.weight.cpu().index_select(0, order);
  if (edges.id.defined()) parts["the ids of edges"] = edges.id.index_select(0, order);
  if (view.params.defined()) parts["the params"] = view.params;
  return parts;
}

// Bit for bit, or within `relative` of each part's largest entry.
void expect_parts(Item& item, const std::string& where, const Tensors& got, const Tensors& want,
                  double relative = 0) {
  for (const auto& [name, part] : want) {
    const auto mine = got.find(name);
    if (mine == got.end()) {
      item.fail(where, name + " are missing");
    } else if (relative == 0 || !part.is_floating_point()) {
      item.expect_equal_bits(where, name, mine->second, part);
    } else {
      item.expect_close(where, name, mine->second, part, relative * std::max(1.0, largest(part)));
    }
  }
}

bool same(const Tensors& a, const Tensors& b) {
  Item compared("");
  expect_parts(compared, "", a, b);
  return !compared.failed() && a.size() == b.size();
}

// ---- What goes in and comes out

void expect_edges(Item& item, const std::string& where, const Edges& edges, const Edges& given) {
  const Tensor& ends = edges.ends;
  if (!ends.defined() || ends.dim() != 2 || ends.size(0) != 2 || ends.scalar_type() != at::kLong)
    return item.fail(where, "its edges are not int64 [2, E]");
  const int64_t count = ends.size(1);
  item.expect(count == 0 || (ends.min().item<int64_t>() >= 0 && ends.max().item<int64_t>() < kNodes), where,
              fmt::format("an edge ends in no node: they are 0 to {}", kNodes - 1));
  item.expect(!edges.weight.defined() ||
                  (edges.weight.is_floating_point() && edges.weight.sizes() == at::IntArrayRef({count})),
              where, fmt::format("the weights of edges are not floats [{}]", count));
  if (!edges.id.defined())
    return item.expect(count == 0 || !torch::equal(ends, given.ends), where,
                       "the edges go on and their ids are lost: what comes next draws by them");
  const Tensor& id = edges.id;
  if (id.scalar_type() != at::kLong || !id.device().is_cpu() || id.sizes() != at::IntArrayRef({count}))
    return item.fail(where, fmt::format("the ids of edges are {} {}, allowed: int64 [{}] on the CPU",
                                        id.toString(), text_of(id.sizes()), count));
  const bool known =
      count == 0 || (id.min().item<int64_t>() >= 0 && id.max().item<int64_t>() < given.ends.size(1));
  item.expect(
      known && torch::equal(given.ends.index_select(1, id), ends), where,
      "an edge has the id of another one: ids go with their edges, and edges that it makes have none");
}

void expect_view(Item& item, const std::string& where, const View& out, const View& given, int64_t width) {
  item.expect(out.kind == Kind::graph, where, "it changes the kind of the view");
  item.expect(out.data.defined() && out.data.sizes() == at::IntArrayRef({kNodes, width}), where,
              fmt::format("it gives {}, and of {} nodes shape_after() says [{}, {}]",
                          out.data.defined() ? text_of(out.data.sizes()) : "no data", kNodes, kNodes, width));
  expect_edges(item, where, out.edges, given.edges);
}

}  // namespace

bool are_taken(const Subject& subject, std::vector<std::string>& refused) {
  return !cases(subject, &refused).empty();
}

void keep_their_nodes(const Subject& subject, Item& item) {
  std::vector<std::string> refused;
  const std::vector<Case> found = cases(subject, &refused);
  const auto both = [&](const Case& one) {
    return std::count_if(found.begin(), found.end(),
                         [&](const Case& other) { return other.set.text == one.set.text; }) == 2;
  };
  for (const Case& one : found) {
    item.expect(both(one), one.where(),
                fmt::format("it takes features in one layout alone: {}", fmt::join(refused, "; ")));
    const auto augmentation = one.make_one(subject);
    const Shape said = augmentation->shape_after({Kind::graph, {kNodeFeatures}});
    if (said.kind != Kind::graph || said.sizes.size() != 1) {
      item.fail(one.where(), "shape_after() changes the kind, or gives no [F]");
      continue;
    }
    const View view = as_read(one.sparse), bare = as_read(one.sparse, /*edges=*/false);
    expect_view(item, one.where(), augmentation->apply(view, place()), view, said.sizes[0]);
    expect_view(item, one.where() + ", no edges", augmentation->apply(bare, place()), bare, said.sizes[0]);
    expect_view(item, one.where() + ", evaluation", augmentation->evaluate(view), view, said.sizes[0]);
  }
}

void are_left_alone(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    for (const bool training : {true, false}) {
      const auto augmentation = one.make_one(subject);
      View view = as_read(one.sparse);
      view.modality = "citations";
      view.key = torch::arange(kNodes) + 5;
      view.params = random_numbers({kNodes, 2}, 4);
      view.edges.weight = random_numbers({view.edges.ends.size(1)}, 6).to(at::kFloat);
      const View given = view;
      Tensors before;
      for (const auto& [name, part] : parts_of(view)) before[name] = part.clone();
      const View out = training ? augmentation->apply(view, place()) : augmentation->evaluate(view);
      const std::string where = one.where() + (training ? "" : ", evaluation");
      expect_parts(item, where + ", the view that was given", parts_of(given), before);
      item.expect(
          out.modality == "citations", where,
          "the modality 'citations' became '" + out.modality + "': begin with the view that was given");
      item.expect(out.key.defined() && torch::equal(out.key, view.key), where,
                  "View::key is lost: begin with the view that was given");
      item.expect(out.params.defined(), where,
                  "View::params of an earlier augmentation are lost: begin with the view that was given");
    }
  }
}

void of_all_types_are_alike(const Subject& subject, Item& item) {
  constexpr double kRounding = 2e-5;
  for (const Case& one : cases(subject)) {
    const auto augmentation = one.make_one(subject);
    const View view = as_read(one.sparse);
    const View single = augmentation->apply(view, place()),
               wide = augmentation->apply(of_type(view, at::kDouble), place());
    for (const auto& [out, type] : {std::pair{single, at::kFloat}, {wide, at::kDouble}})
      item.expect(out.data.scalar_type() == type, one.where(),
                  fmt::format("of {} features it makes {}", c10::toString(type),
                              c10::toString(out.data.scalar_type())));
    const double allowed = kRounding * magnitude(one.set);
    expect_parts(item, one.where() + ", fp64", parts_of(wide), parts_of(single), allowed);
    if (one.sparse)
      expect_parts(item, one.where() + " against a dense one", parts_of(single),
                   parts_of(augmentation->apply(as_read(/*sparse=*/false), place())), allowed);
  }
}

// ---- What may matter

void are_drawn_by_key(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    torch::manual_seed(1);
    const GlobalDraws draws;
    const auto augmentation = one.make_one(subject), other = one.make_one(subject);
    const View view = as_read(one.sparse);
    const Tensors want = parts_of(augmentation->apply(view, place()));
    item.expect(!draws.any(), one.where(),
                "it draws from LibTorch's global generator; draw from context.uniform(edges.id), "
                "context.draws(b) or context.shared()");
    AugmentContext elsewhere = place();
    elsewhere.step += 1;
    augmentation->apply(view, elsewhere);
    torch::manual_seed(2);
    expect_parts(item, one.where() + ", at the same place again",
                 parts_of(augmentation->apply(view, place())), want);
    expect_parts(item, one.where() + ", of another one made and set up alike",
                 parts_of(other->apply(view, place())), want);
  }
}

void are_drawn_by_the_whole_place(const Subject& subject, Item& item) {
  const std::vector<Case> all = cases(subject);
  for (const Case& one : all) {
    if (one.set.text != all.front().set.text) continue;
    const auto augmentation = one.make_one(subject);
    const View view = as_read(one.sparse);
    const Tensors want = parts_of(augmentation->apply(view, place()));
    const std::pair<const char*, void (*)(AugmentContext&, int64_t)> parts[] = {
        {"seed", [](AugmentContext& c, int64_t by) { c.seed += static_cast<uint64_t>(by); }},
        {"step", [](AugmentContext& c, int64_t by) { c.step += by; }},
        {"view", [](AugmentContext& c, int64_t by) { c.view += by; }},
        {"position", [](AugmentContext& c, int64_t by) { c.position += by; }}};
    std::vector<std::string> matter, not_matter;
    for (const auto& [name, move] : parts) {
      bool moved = false;
      for (int64_t by = 1; by <= 16 && !moved; ++by) {  // alike by chance, not sixteen times
        AugmentContext context = place();
        move(context, by);
        moved = !same(parts_of(augmentation->apply(view, context)), want);
      }
      (moved ? matter : not_matter).push_back(name);
    }
    item.expect(matter.empty() || not_matter.empty(), one.where(),
                fmt::format("its draws differ by {} but not by {}; context.key() is made of all",
                            fmt::join(matter, ", "), fmt::join(not_matter, ", ")));
  }
}

void do_not_depend_on_the_order_of_edges(const Subject& subject, Item& item) {
  constexpr double kRounding = 1e-5;
  const int threads = at::get_num_threads();
  for (const Case& one : cases(subject)) {
    const auto augmentation = one.make_one(subject);
    const View view = as_read(one.sparse);
    const Tensors want = parts_of(augmentation->apply(view, place()));
    View other = view;
    const Tensor order = std::get<1>(random_numbers({view.edges.ends.size(1)}, 8).sort());
    other.edges = {view.edges.ends.index_select(1, order), {}, view.edges.id.index_select(0, order)};
    expect_parts(item, one.where() + ", the list of edges in another order",
                 parts_of(augmentation->apply(other, place())), want, kRounding);
    at::set_num_threads(3);
    expect_parts(item, one.where() + ", on three threads", parts_of(augmentation->apply(view, place())),
                 want);
    at::set_num_threads(threads);
  }
}

void are_evaluated_without_draws(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    const auto augmentation = one.make_one(subject);
    const View view = as_read(one.sparse);
    const GlobalDraws draws;
    const Tensors first = parts_of(augmentation->evaluate(view));
    item.expect(!draws.any(), one.where(), "evaluation draws from LibTorch's global generator");
    augmentation->apply(view, place());
    expect_parts(item, one.where() + ", evaluated again", parts_of(augmentation->evaluate(view)), first);
    item.expect(
        same(first, parts_of(view)) || !augmentation->evaluation_name().empty(), one.where(),
        "evaluation changes the graph and evaluation_name() does not say so: results would not name it");
  }
}

void stay_finite(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    for (const bool edges : {true, false}) {
      const auto augmentation = one.make_one(subject, edges);
      const View view = as_read(/*sparse=*/false, edges);
      for (const auto& [name, data] : {std::pair{"as it is", view.data},
                                       {"features that are 0", torch::zeros_like(view.data)},
                                       {"features that are 1", torch::ones_like(view.data)}}) {
        View changed = view;
        changed.data = data;
        if (one.sparse) changed = in_csr(changed);
        const std::string where = fmt::format("{}, {}{}", one.where(), name, edges ? "" : ", no edges");
        for (const auto& [part, tensor] : parts_of(augmentation->apply(changed, place())))
          item.expect_finite(where, part, tensor);
      }
    }
  }
}

void on_cuda_are_those_on_the_cpu(const Subject& subject, Item& item) {
  if (!torch::cuda::is_available()) return;
  for (const Case& one : cases(subject)) {
    const auto augmentation = one.make_one(subject);
    const View view = as_read(one.sparse);
    View there = view;
    there.data = view.data.cuda();
    there.edges.ends = view.edges.ends.cuda();
    expect_parts(item, one.where() + ", CUDA", parts_of(augmentation->apply(there, place())),
                 parts_of(augmentation->apply(view, place())), 1e-5);
  }
}

}  // namespace foil::conformance::graphs
