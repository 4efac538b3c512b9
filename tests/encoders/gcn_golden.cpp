// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of the encoder gcn: PyG's layer, GRACE's encoder, MA-GCL's layer and encoder.
#include "tests/support/golden.h"

#include <foil/graph.h>

#include <torch/autograd.h>

namespace {

using namespace foil::golden;
using foil::Tensor;

// The encoder with the file's weights under its names, on the file's graph: h, its product with the
// cotangent, and the gradients under the file's names. A weight that stands there as [in, out] is
// `transposed`.
Tensors encoded(const Case& test, nlohmann::json options, const std::map<std::string, std::string>& names,
                bool transposed = false) {
  const auto encoder = make_encoder("gcn", options);
  const Tensor x = test.inputs.at("in.x").clone().requires_grad_();
  encoder->setup({x.size(1), 0, 0, foil::Kind::graph});
  encoder->to(x.scalar_type());
  const auto turned = [&](const Tensor& t) { return transposed && t.dim() == 2 ? t.t().contiguous() : t; };
  std::vector<Tensor> of{x};
  std::vector<std::string> name{"x"};
  for (auto& item : encoder->named_parameters()) {
    const std::string& file = names.at(item.key());
    torch::NoGradGuard no_grad;
    item.value().copy_(turned(test.inputs.at("in." + file)));
    of.push_back(item.value());
    name.push_back(file);
  }
  foil::View view{"graph", foil::Kind::graph, x, {}, {}, {}, {}};
  view.edges.ends = test.inputs.at("in.edge_index");
  const Tensor h = encoder->forward(view).pooled, loss = (h * test.inputs.at("in.cotangent")).sum();
  const std::vector<Tensor> gradients = torch::autograd::grad({loss}, of);
  Tensors all{{"out.h", h.detach()}, {"out.loss", loss.detach()}};
  for (size_t i = 0; i < of.size(); ++i)
    all["grad." + name[i]] = name[i] == "x" ? gradients[i] : turned(gradients[i]);
  return all;
}

int64_t rows(const Case& test, const char* weight) { return test.inputs.at(weight).size(0); }

// The normalised edges of a file's graph, in fp64.
foil::Edges normalised(const Case& test) {
  const Tensor& ends = test.inputs.at("in.edge_index");
  return foil::gcn_norm({ends, torch::ones({ends.size(1)}, torch::kDouble), {}}, test.params.at("num_nodes"));
}

Tensors gcn_norm(const Case& test) {
  const foil::Edges edges = normalised(test);
  const Tensor& x = test.inputs.at("in.x");
  return {{"out.norm_edge_index", edges.ends},
          {"out.norm_weight", edges.weight},
          {"out.ax", foil::Propagation(edges, x.size(0), torch::kDouble)(x)}};
}

Tensors gcn_conv(const Case& test) {
  const nlohmann::json options{{"widths", {rows(test, "in.weight")}}, {"last_activation", false}};
  Tensors all = encoded(test, options, {{"conv1.weight", "weight"}, {"conv1.bias", "bias"}});
  const foil::Edges edges = normalised(test);
  all["out.norm_edge_index"] = edges.ends;
  all["out.norm_weight"] = edges.weight;
  return all;
}

Tensors grace_encoder(const Case& test) {
  return encoded(
      test,
      {{"widths", {rows(test, "in.w1"), rows(test, "in.w2")}}, {"activation", test.params.at("activation")}},
      {{"conv1.weight", "w1"},
       {"conv1.bias", "b1"},
       {"conv2.weight", "w2"},
       {"conv2.bias", "b2"},
       {"activation.weight", "prelu"}});
}

Tensors magcl_conv(const Case& test) {
  return encoded(
      test,
      {{"widths", {rows(test, "in.bias")}}, {"last_activation", false}, {"depths", {test.params.at("c")}}},
      {{"conv1.weight", "weight"}, {"conv1.bias", "bias"}}, /*transposed=*/true);
}

Tensors magcl_encoder(const Case& test) {
  return encoded(test,
                 {{"widths", {rows(test, "in.b1"), rows(test, "in.b2")}},
                  {"activation", test.params.at("activation")},
                  {"last_activation", false},
                  {"depths", {test.params.at("K1"), test.params.at("K2")}}},
                 {{"conv1.weight", "w1"}, {"conv1.bias", "b1"}, {"conv2.weight", "w2"}, {"conv2.bias", "b2"}},
                 /*transposed=*/true);
}

const Register of_gcn_norm("gcn-norm", {"gcn", gcn_norm});
const Register of_gcn_conv("gcn-conv", {"gcn", gcn_conv});
const Register of_grace_encoder("grace-encoder", {"gcn", grace_encoder});
const Register of_magcl_conv("magcl-conv", {"gcn", magcl_conv});
const Register of_magcl_encoder("magcl-encoder", {"gcn", magcl_encoder});

}  // namespace
