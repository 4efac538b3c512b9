// SPDX-License-Identifier: BSD-3-Clause
// What an encoder gives against what it says of itself, and what it says to data that it is not for.
#include "encoder_shapes.h"

#include "encoder_trial.h"
#include "graphs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

namespace foil::conformance {
namespace {

void expect_shapes(Item& item, const std::string& where, EncoderTrial& trial, const View& view) {
  const Features out = trial.encoder().forward(view);
  const int64_t rows = view.size(), width = trial.encoder().feature_dim();
  if (!out.pooled.defined()) return item.fail(where, "forward gives no features");
  item.expect(out.pooled.sizes() == at::IntArrayRef({rows, width}), where,
              fmt::format("the features of {} are {}, feature_dim() says [{}, {}]",
                          text_of(view.data.sizes()), text_of(out.pooled.sizes()), rows, width));
  item.expect(!view.data.is_floating_point() || out.pooled.scalar_type() == view.data.scalar_type(), where,
              fmt::format("the features are {} where the view is {}", c10::toString(out.pooled.scalar_type()),
                          c10::toString(view.data.scalar_type())));
  if (out.map.defined())
    item.expect(out.map.dim() == 4 && out.map.size(0) == rows, where,
                fmt::format("the map is {}, allowed: [{}, C, H, W]", text_of(out.map.sizes()), rows));
  if (out.tokens.defined())
    item.expect(out.tokens.dim() == 3 && out.tokens.size(0) == rows, where,
                fmt::format("the tokens are {}, allowed: [{}, L, C]", text_of(out.tokens.sizes()), rows));
}

// Data that it is not for: an Error that names the shape, or features.
void expect_a_word(Item& item, const std::string& where, EncoderTrial& trial, View view,
                   std::vector<int64_t> shape) {
  view.data = random_numbers(shape, 1).to(view.data.device(), view.data.scalar_type());
  view.length.reset();
  const auto said = refusal([&] { trial.features(view); });
  if (!said) return item.expect(true, where, "");
  item.expect(said->is_error && said->text.find(text_of(shape)) != std::string::npos, where,
              fmt::format("to a view {} it says '{}', expected an Error that names the shape", text_of(shape),
                          said->text));
}

// Of a graph: one without edges, and an edge that ends nowhere, which an encoder that reads edges refuses.
void expect_graphs(Item& item, const std::string& where, EncoderTrial& trial, const View& view) {
  const View bare = without_edges(view);
  expect_shapes(item, where + ", no edges", trial, bare);
  if (torch::equal(trial.features(view), trial.features(bare))) return;
  View beyond = view;
  beyond.edges.ends = view.edges.ends.clone();
  beyond.edges.ends[1][0] = view.size();
  const auto said = refusal([&] { trial.features(beyond); });
  item.expect(said && said->is_error, where,
              fmt::format("to an edge that ends in node {} of {} it says {}, expected an Error", view.size(),
                          view.size(), said ? "'" + said->text + "'" : "nothing"));
}

// Features of nodes are dense or in CSR layout, as the data set has them.
void expect_both_layouts(Item& item, const OptionSet& set, const std::vector<DataShape>& accepted,
                         const std::vector<std::string>& refused) {
  std::vector<std::string> taken;
  for (const DataShape& data : accepted)
    if (data.shape.kind == Kind::graph) taken.push_back(data.text);
  item.expect(taken.size() != 1, set.text,
              fmt::format("of graphs it takes {} alone: {}", fmt::join(taken, ""), fmt::join(refused, "; ")));
}

}  // namespace

void encoder_shapes_are_as_said(const Subject& subject, Item& item) {
  torch::NoGradGuard no_grad;
  for (const OptionSet& set : subject.sets.single) {
    std::vector<std::string> refused;
    const std::vector<DataShape> accepted = accepted_shapes(subject.component, set, refused);
    const std::string all = fmt::format("takes none of the data tried: {}", fmt::join(refused, "; "));
    if (accepted.empty() && &set != &subject.sets.single.front()) item.note(set.text + " " + all);
    if (&set == &subject.sets.single.front()) item.expect(!accepted.empty(), set.text, all);
    expect_both_layouts(item, set, accepted, refused);
    for (const DataShape& data : accepted) {
      EncoderTrial trial(subject.component, set, data);
      const std::string where = set.text + ", " + data.text;
      const View view = trial.view(0), seen = without_key(view);
      trial.encoder().train();
      expect_shapes(item, where + ", training", trial, view);
      trial.encoder().eval();
      expect_shapes(item, where, trial, seen);
      expect_shapes(item, where + ", one sample", trial, rows(seen, 0, 1));
      if (trial.of_graphs())
        expect_graphs(item, where, trial, seen);
      else
        expect_shapes(item, where + ", no sample", trial, rows(seen, 0, 0));
      const std::vector<int64_t>& sizes = data.shape.sizes;
      if (data.shape.kind == Kind::text) {
        expect_a_word(item, where, trial, rows(seen, 0, 2), {2, 3, 18, 13});
        continue;
      }
      std::vector<int64_t> more = sizes;
      more[0] += 2;
      more.insert(more.begin(), 2);
      expect_a_word(item, where, trial, rows(seen, 0, 2), more);
      if (sizes.size() == 3) {
        expect_a_word(item, where, trial, rows(seen, 0, 2), {2, sizes[0], sizes[1] + 3, sizes[2] - 2});
        expect_a_word(item, where, trial, rows(seen, 0, 2), {2, 12});
      } else {
        expect_a_word(item, where, trial, rows(seen, 0, 2), {2, 3, 18, 13});
      }
    }
  }
}

}  // namespace foil::conformance
