// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of scgc and pamc. The files give the influences: as the weights of edges, from the
// influencing node to the anchor.
#include "losses/influence.h"
#include "losses/student_clusters.h"
#include "tests/losses/node_golden.h"

namespace {

using namespace foil::golden;
using foil::Edges;
using foil::Tensor;

// Of G as a dense matrix or as its entries.
Edges influences(const Case& test) {
  const auto& in = test.inputs;
  if (in.count("in.adj_indices")) return {in.at("in.adj_indices").flip(0), in.at("in.adj_values"), {}};
  const Tensor dense = in.at("in.adj_label"), places = dense.nonzero().t();
  return {places.flip(0).contiguous(), dense.index({places[0], places[1]}), {}};
}

foil::LossInput input_of(const Case& test, const Tensor& z) {
  foil::LossInput input = nodes_input({z});
  input.views.resize(1);
  input.views[0].data = test.inputs.count("in.x") ? test.inputs.at("in.x") : z.detach();
  input.views[0].edges = influences(test);
  return input;
}

// The centres of a file, for a loss and for the clusters alone.
template <class Clusters>
void set_centres(Clusters& loss, const Tensor& centres) {
  torch::NoGradGuard no_grad;
  loss.named_parameters()["centres"].copy_(centres);
  loss.named_buffers()["started"].fill_(1);
}

// ---- influence: from the edges of a graph.

Tensors influence(const Case& test) {
  const nlohmann::json& p = test.params;
  using Kind = foil::InfluenceOptions::Kind;
  foil::Influence influence({p.at("cumulative").get<bool>() ? Kind::cumulative : Kind::power, p.at("order")});
  const int64_t nodes = p.at("num_nodes");
  foil::LossInput input = nodes_input({torch::zeros({nodes, 1}, torch::kDouble)});
  input.views.resize(1);
  input.views[0].data = input.z[0];
  input.views[0].edges.ends = test.inputs.at("in.edge_index");
  influence(input);
  return {{"out.adj_label", influence.matrix().to_dense()}};
}

const Register of_influence("scgc-influence", {"scgc", influence});

// ---- scgc: the contrast alone, and with clusters, and with a decoder.

nlohmann::json scgc_options(const Case& test) {
  return {{"influence", "given"}, {"temperature", 1 / test.params.at("tau").get<double>()}, {"guard", 1e-8}};
}

// All cosines, as the loss takes them from its pairs.
Tensor cosines(const Tensor& z) {
  const int64_t n = z.size(0);
  const Tensor unit = foil::unit(z), row = torch::arange(n).repeat_interleave(n),
               column = torch::arange(n).repeat({n});
  return foil::PairProducts::apply(unit, unit, row, column).masked_fill(row == column, 0).view({n, n});
}

Tensors contrast(const Case& test) {
  const Tensor z = leaf(test.inputs.at("in.z"));
  const auto loss = make_loss("scgc", scgc_options(test));
  loss->setup({.z_dim = z.size(1)});
  loss->to(torch::kDouble);
  Tensors all = graded(*loss, input_of(test, z), {{"z", z}});
  all["out.x_dis"] = cosines(z.detach());
  return all;
}

const Register of_contrast("scgc-ncontrast", {"scgc", contrast});

// A loss with the factors and the centres of a file.
Tensors total(const Case& test, const std::string& name, nlohmann::json options,
              const std::map<std::string, std::string>& reports) {
  const nlohmann::json& p = test.params;
  const auto& in = test.inputs;
  const Tensor centres = in.at("in.cluster_centers"), z = leaf(in.at("in.z"));
  options.update({{"contrast_weight", p.at("alpha")},
                  {"clustering_weight", p.at("beta")},
                  {"degrees_of_freedom", p.at("v")},
                  {"clusters", centres.size(0)}});
  const auto loss = make_loss(name, options);
  loss->setup({.z_dim = z.size(1)});
  loss->to(torch::kDouble);
  set_centres(*loss, centres);
  foil::LossInput input = input_of(test, z);
  Tensors leaves{{"z", z}, {"cluster_centers", loss->named_parameters()["centres"]}};
  if (in.count("in.x_bar")) input.decoded = {leaves["x_bar"] = leaf(in.at("in.x_bar"))};
  Tensors all = graded(*loss, input, leaves);
  for (const auto& [ours, theirs] : reports) all[theirs] = input.reports().at(ours);
  return all;
}

const std::map<std::string, std::string> kParts = {{"contrast", "out.ncontrast"}, {"clustering", "out.kl"}};

Tensors scgc(const Case& test) {
  nlohmann::json options = scgc_options(test);
  options["reconstruction_weight"] = 1;
  std::map<std::string, std::string> parts = kParts;
  parts["reconstruction"] = "out.mse";
  return total(test, "scgc", options, parts);
}

// Without a decoder; q and p too.
Tensors scgc_star(const Case& test) {
  Tensors all = total(test, "scgc", scgc_options(test), kParts);
  const Tensor z = test.inputs.at("in.z"), centres = test.inputs.at("in.cluster_centers");
  torch::nn::Module holder;
  foil::StudentClusters clusters({.clusters = centres.size(0), .degrees_of_freedom = test.params.at("v")});
  clusters.setup(holder, z.size(1));
  holder.to(torch::kDouble);
  set_centres(holder, centres);
  const Tensor log_q = clusters.log_assignment(z).detach();
  all["out.q"] = log_q.exp();
  all["out.p"] = foil::StudentClusters::log_target(nodes_input({z}), log_q).exp();
  return all;
}

const Register of_total("scgc-total", {"scgc", scgc});
const Register of_star("scgc-star-total", {"scgc", scgc_star});

// ---- pamc: with the clusters of a file as classes, and with centres.

nlohmann::json pamc_options(const Case& test) {
  return {{"influence", "given"}, {"temperature", 1 / test.params.at("tau").get<double>()}, {"guard", 1e-10}};
}

Tensors meta_nodes(const Case& test) {
  const Tensor z = leaf(test.inputs.at("in.z")), community = test.inputs.at("in.community");
  nlohmann::json options = pamc_options(test);
  options["partition"] = "label";
  const auto loss = make_loss("pamc", options);
  loss->setup({.z_dim = z.size(1), .classes = community.max().item<int64_t>() + 1});
  loss->to(torch::kDouble);
  foil::LossInput input = input_of(test, z);
  input.label = community;
  Tensors all = graded(*loss, input, {{"z", z}});
  all["out.loss_dense"] = all["out.loss"];  // the published dense form of the same
  all["out.meta_nodes"] = input.kept("meta_nodes");
  all["out.cc_dis"] = input.kept("meta_cosines");
  return all;
}

Tensors pamc(const Case& test) {
  return total(test, "pamc", pamc_options(test), {{"contrast", "out.contrast"}, {"clustering", "out.kl"}});
}

const Register of_meta_nodes("pamc", {"pamc", meta_nodes});
const Register of_pamc("pamc-total", {"pamc", pamc});

}  // namespace
