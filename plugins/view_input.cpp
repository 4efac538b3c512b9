// SPDX-License-Identifier: BSD-3-Clause
// Views, decoded features and weights by name: "x.0", "edges.0", "decoded.0", "weight.encoder.conv1.weight".
#include "view_input.h"

#include <torch/types.h>

#include <sstream>

namespace foil {
namespace {

class Check {
 public:
  Check(const Needs& needs, LossInput& input) : needs_(needs), input_(input), z_(input.z.at(0)) {}

  void decoded() {
    require_count("decoded", input_.decoded.size());
    for (size_t v = 0; v < input_.z.size(); ++v) {
      const Tensor x = v < input_.decoded.size() ? input_.decoded[v] : Tensor();
      fit(name_of("decoded", v), x, x.defined() && is_like_z(x) && has_rows(x, samples()) && x.numel() > 0,
          "what the encoder's decoder gives", floats("[" + std::to_string(samples()) + ", ...]"));
    }
  }

  void views() {
    require_count("x", input_.views.size());
    input_.views.resize(input_.z.size());
    for (size_t v = 0; v < input_.views.size(); ++v) one_view(input_.views[v], v);
    if (needs_.graph && input_.index.defined() &&
        !torch::equal(input_.index, torch::arange(samples(), input_.index.options())))
      fail(Exit::usage, "index: this loss takes all nodes of a graph in their order, allowed: 0 to ",
           samples() - 1, ", or no index.");
  }

  void weights() const {
    for (const std::string& name : needs_.weights) {
      const auto weight = input_.weights.find(name);
      const Tensor x = weight == input_.weights.end() ? Tensor() : weight->second;
      fit("weight." + name, x, x.defined() && is_like_z(x), "this parameter of the encoder",
          floats("of its shape"));
    }
  }

 private:
  static std::string name_of(const char* stem, size_t v) { return stem + ("." + std::to_string(v)); }
  int64_t samples() const { return z_.size(0); }
  static bool has_rows(const Tensor& x, int64_t rows) { return x.dim() > 0 && x.size(0) == rows; }
  bool is_like_z(const Tensor& x) const {
    return x.scalar_type() == z_.scalar_type() && x.device() == z_.device();
  }
  // Dense floats of the type of z, as LibTorch calls it.
  std::string floats(const std::string& shape) const { return z_.toString() + " " + shape; }

  void require_count(const char* stem, size_t there) const {
    const size_t views = input_.z.size();
    if (there > views)
      fail(Exit::usage, stem, ".", views, " is one too many, allowed: ", stem, ".0 to ", stem, ".", views - 1,
           ".");
  }

  void fit(const std::string& name, const Tensor& x, bool fits, const std::string& what,
           const std::string& allowed) const {
    if (!x.defined()) fail(Exit::usage, name, " is missing: this loss needs ", what, ", ", allowed, ".");
    if (!fits)
      fail(Exit::usage, name, " is ", x.toString(), " ", x.sizes(), ", allowed: ", allowed, ", ", what, ".");
  }

  void one_view(View& view, size_t v) const {
    const Tensor& x = view.data;
    const bool graph = needs_.graph || view.edges.ends.defined();
    const std::string rows = "[" + (needs_.graph ? std::to_string(samples()) : graph ? "nodes" : "B");
    const bool tokens = x.defined() && x.scalar_type() == at::kLong && x.device() == z_.device();
    const bool fits = x.defined() && x.dim() > 1 &&
                      (graph ? x.dim() == 2 && is_like_z(x) : tokens || is_like_z(x)) &&
                      ((graph && !needs_.graph) || has_rows(x, samples()));
    fit(name_of("x", v), x, fits, "the views as the encoders see them",
        floats(graph ? rows + ", F]" : rows + ", ...] or int64 tokens"));
    if (graph) edges(view, v);
    const Tensor& params = view.params;
    if (params.defined())
      fit(name_of("params", v), params, is_like_z(params) && params.dim() == 2 && has_rows(params, x.size(0)),
          "what an augmentation hands on", floats("[" + std::to_string(x.size(0)) + ", P]"));
  }

  void edges(View& view, size_t v) const {
    Tensor& ends = view.edges.ends;
    const int64_t nodes = view.data.size(0);
    const bool pairs =
        ends.defined() && ends.dim() == 2 && ends.size(0) == 2 && ends.scalar_type() == at::kLong;
    fit(name_of("edges", v), ends, pairs, "the edges of each view", "int64 [2, E], from and to");
    const Tensor wrong = ((ends < 0) | (ends >= nodes)).nonzero();
    if (wrong.numel() > 0) {
      const int64_t row = wrong[0][0].item<int64_t>(), edge = wrong[0][1].item<int64_t>();
      fail(Exit::usage, name_of("edges", v), "[", row, ", ", edge, "] is ", ends[row][edge].item<int64_t>(),
           ", allowed: a node, 0 to ", nodes - 1, ".");
    }
    ends = ends.to(z_.device());
    const Tensor& weight = view.edges.weight;
    if (weight.defined())
      fit(name_of("edge_weight", v), weight,
          is_like_z(weight) && weight.sizes() == at::IntArrayRef({ends.size(1)}), "the weight of each edge",
          floats("[" + std::to_string(ends.size(1)) + "]"));
  }

  const Needs& needs_;
  LossInput& input_;
  const Tensor z_;
};

}  // namespace

void check_views_and_weights(const Needs& needs, LossInput& input) {
  Check check(needs, input);
  if (needs.decoded) check.decoded();
  if (needs.views) check.views();
  check.weights();
}

}  // namespace foil
