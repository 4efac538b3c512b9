// SPDX-License-Identifier: BSD-3-Clause
#include "api/loss_tensors.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

using test::error_of;
using Tensors = std::map<std::string, Tensor>;

// Two views, the first of them at full size; two queues, of which one has labels and the other indices; of a
// graph, whose second view has no weights.
Tensors everything() {
  torch::manual_seed(3);
  Tensors all;
  for (const char* name :
       {"h.0", "h.1", "decoded.0", "decoded.1", "z.0", "z.1", "p.0", "p.1", "target.0", "queue.0", "queue.1",
        "x.0", "x.1", "params.1", "weight.encoder.conv1.weight", "weight.encoder.conv1.bias"})
    all[name] = 3 * torch::randn({4, 2}, torch::kDouble);
  for (const char* name : {"queue_label.1", "queue_index.0", "label", "index"}) all[name] = torch::arange(4);
  for (const char* name : {"edges.0", "edges.1"}) all[name] = torch::arange(4).view({2, 2});
  all["edge_weight.0"] = torch::ones({2}, torch::kDouble);
  return all;
}

std::vector<std::string> names(LossInput input) {
  std::vector<std::string> all;
  for (const NamedTensor& one : tensors_of(input)) all.push_back(one.name);
  return all;
}

Tensor norms(const Tensor& x) { return x.norm(2, {1}); }

TEST(LossTensors, AreListedByKindAndFoundAgainUnderTheirNames) {
  const Tensors given = everything();
  LossInput input = named_input(given);
  const std::string all =
      "h.0 h.1 decoded.0 decoded.1 z.0 z.1 p.0 p.1 target.0 queue.0 queue.1 queue_label.1 queue_index.0 "
      "label "
      "index x.0 x.1 edges.0 edges.1 edge_weight.0 params.1 weight.encoder.conv1.bias "
      "weight.encoder.conv1.weight ";
  std::string got;
  for (const std::string& name : names(input)) got += name + " ";
  EXPECT_EQ(got, all);
  for (const NamedTensor& one : tensors_of(input)) {
    EXPECT_TRUE(one.tensor->is_same(given.at(one.name))) << one.name;
    EXPECT_EQ(one.kind->name_of(input, one.i), one.name);
  }
  EXPECT_TRUE(input.weight("encoder.conv1.bias").is_same(given.at("weight.encoder.conv1.bias")));
  for (const View& view : input.views) {
    EXPECT_EQ(view.kind, Kind::graph);
    EXPECT_EQ(view.modality, "graph");
  }
}

TEST(LossTensors, EveryKindComesBackAlone) {
  for (const TensorKind& kind : tensor_kinds()) {
    const Tensor tensor = torch::ones({2, 2});
    const bool batch = kind.per == TensorKind::Per::batch;
    LossInput input = named_input({{kind.name + std::string(batch ? "" : ".0"), tensor}});
    const std::vector<NamedTensor> all = tensors_of(input);
    ASSERT_EQ(all.size(), 1u) << kind.name;
    EXPECT_EQ(all[0].kind, &kind);
    EXPECT_TRUE(all[0].tensor->is_same(tensor)) << kind.name;
  }
}

TEST(LossTensors, MayBeAssignedTo) {
  LossInput input = named_input(everything());
  for (const NamedTensor& one : tensors_of(input)) *one.tensor = torch::zeros({1});
  EXPECT_EQ(input.p[1].numel(), 1);
  EXPECT_EQ(input.queue[0].index.numel(), 1);
  EXPECT_EQ(input.label.numel(), 1);
}

TEST(LossTensors, CountInNumbersNotInTheOrderOfTheirNames) {
  Tensors given;
  for (int v = 0; v < 12; ++v) given["z." + std::to_string(v)] = torch::full({1}, v);
  const LossInput input = named_input(given);
  ASSERT_EQ(input.z.size(), 12u);
  for (int v = 0; v < 12; ++v) EXPECT_EQ(input.z[static_cast<size_t>(v)].item<int>(), v);
}

TEST(LossTensors, RefuseANumberThatLeavesAGap) {
  const Tensor x = torch::ones({1});
  EXPECT_EQ(error_of([&] { named_input({{"z.1", x}}); }), "2 z.1 is there, but z.0 is missing.");
  EXPECT_EQ(error_of([&] {
              named_input({{"z.0", x}, {"z.1", x}, {"z.123456789", x}});
            }),
            "2 z.123456789 is there, but z.2 is missing.");
  EXPECT_EQ(error_of([&] {
              named_input({{"z.0", x}, {"z.01", x}});
            }),
            "2 z.01 is there, but z.1 is missing.");
  EXPECT_EQ(error_of([&] {
              named_input({{"queue.0", x}, {"queue_label.2", x}});
            }),
            "2 queue_label.2 is there, but queue.1 is missing.");
  EXPECT_EQ(error_of([&] {
              named_input({{"x.0", x}, {"edges.2", x}});
            }),
            "2 edges.2 is there, but x.1 is missing.");
}

TEST(LossTensors, RefuseAnUnknownNameWithTheKnownOnes) {
  const std::string known =
      " is none of a loss's input. Known tensors: h.0, decoded.0, z.0, p.0, target.0, queue.0, "
      "queue_label.0, queue_index.0, label, index, x.0, edges.0, edge_weight.0, params.0, weight.NAME.";
  for (const std::string name : {"zebra", "z", "z.", "z.x", "label.0", "weight", "weight.", "edges.x", ""}) {
    const std::string error = error_of([&] { named_input({{name, torch::ones({1})}}); });
    EXPECT_TRUE(error.starts_with("2 the tensor '" + name + "'" + known)) << error;
  }
  EXPECT_EQ(error_of([] {
              named_input({{"targt.1", torch::ones({1})}});
            }),
            "2 the tensor 'targt.1'" + known + " Did you mean 'target.0'?");
}

TEST(Scaled, BringsToUnitNormWhatALossSeesSoAndLeavesTheRest) {
  const Tensors given = everything();
  LossInput unit = scaled(named_input(given)), raw = scaled(named_input(given), /*raw=*/true);
  for (const NamedTensor& one : tensors_of(unit)) {
    const std::string kind = one.kind->name;
    const bool normed = kind == "z" || kind == "p" || kind == "target" || kind == "queue";
    EXPECT_EQ(torch::equal(*one.tensor, given.at(one.name)), !normed) << one.name;
    if (normed) {
      EXPECT_TRUE(torch::allclose(norms(*one.tensor), torch::ones({4}, torch::kDouble))) << one.name;
    }
  }
  for (const NamedTensor& one : tensors_of(raw))
    EXPECT_TRUE(torch::equal(*one.tensor, given.at(one.name))) << one.name;
}

TEST(Scaled, WidensToFp32AndLeavesWiderTypesAndIds) {
  for (const bool raw : {false, true}) {
    Tensors given = everything();
    for (auto& [name, tensor] : given)
      if (tensor.is_floating_point()) tensor = tensor.to(torch::kBFloat16);
    given["z.1"] = given["z.1"].to(torch::kDouble);
    LossInput input = scaled(named_input(given), raw);
    for (const NamedTensor& one : tensors_of(input)) {
      const auto type = !given.at(one.name).is_floating_point() ? torch::kLong
                        : one.name == "z.1"                     ? torch::kDouble
                                                                : torch::kFloat;
      EXPECT_EQ(one.tensor->scalar_type(), type) << one.name;
    }
  }
}

TEST(Scaled, LeavesTheTokensOfAView) {
  const Tensor tokens = torch::arange(6).view({2, 3});
  EXPECT_TRUE(scaled(named_input({{"x.0", tokens}})).views[0].data.is_same(tokens));
}

TEST(Selected, LeavesWhatTheNeedsAskForAndTheIndex) {
  LossInput all = named_input(everything());
  all.report("part", torch::ones({}));
  EXPECT_EQ(names(selected({}, all)), (std::vector<std::string>{"z.0", "z.1", "index"}));
  EXPECT_TRUE(selected({}, all).reports().empty());

  EXPECT_EQ(names(selected({.labels = true, .target = true}, all)),
            (std::vector<std::string>{"z.0", "z.1", "target.0", "label", "index"}));
  EXPECT_EQ(names(selected({.features = true, .predictor = true}, all)),
            (std::vector<std::string>{"h.0", "h.1", "z.0", "z.1", "p.0", "p.1", "index"}));
  EXPECT_EQ(names(selected({.decoded = true, .weights = {"encoder.conv1.bias", "encoder.conv2.bias"}}, all)),
            (std::vector<std::string>{"decoded.0", "decoded.1", "z.0", "z.1", "index",
                                      "weight.encoder.conv1.bias"}));
  EXPECT_EQ(names(selected({.views = true, .graph = true}, all)),
            (std::vector<std::string>{"z.0", "z.1", "index", "x.0", "x.1", "edges.0", "edges.1",
                                      "edge_weight.0", "params.1"}));
  const Needs queues{.queues = {{.length = 4}, {.length = 4, .label = true}}};
  EXPECT_EQ(names(selected(queues, all)),
            (std::vector<std::string>{"z.0", "z.1", "queue.0", "queue.1", "queue_label.1", "index"}));
  EXPECT_EQ(names(all).size(), everything().size()) << "what was given stays as it is";
}

TEST(NeedsText, SaysWhatALossNeeds) {
  EXPECT_EQ(views_text({}), "2 views");
  EXPECT_EQ(views_text({.min_views = 1, .max_views = 1}), "1 view");
  EXPECT_EQ(views_text({.max_views = any_number}), "2 or more views");
  EXPECT_EQ(views_text({.max_views = 4}), "2 to 4 views");
  EXPECT_EQ(needs_text({}), "2 views");
  EXPECT_EQ(needs_text({.labels = true,
                        .index = true,
                        .features = true,
                        .raw_z = true,
                        .predictor = true,
                        .target = true,
                        .queues = {{.length = 4096, .label = true, .index = true}, {.length = 8}}}),
            "2 views, features before the head, a predictor, a momentum tower, labels, "
            "the index of each sample, z without normalisation, "
            "a queue of 4096 rows with labels with indices, a queue of 8 rows");
  EXPECT_EQ(needs_text({.decoded = true, .views = true, .graph = true, .weights = {"encoder.conv1.weight"}}),
            "2 views, an encoder with a decoder, the views as the encoders see them, "
            "all nodes of a graph in their order, the weights encoder.conv1.weight");
  EXPECT_EQ(needs_text({.weights = {"a", "b", "c"}}), "2 views, the weights a, b and c");
}

}  // namespace
}  // namespace foil
