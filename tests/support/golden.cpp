// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/golden.h"

#include "config/reader.h"
#include "model/tower.h"
#include "plugins/registry.h"
#include "ranks/world.h"

#include <torch/autograd.h>

namespace foil::golden {
namespace {

Node node_from(const nlohmann::json& json) {
  Node node;
  node.origin.file = "options";
  if (json.is_boolean()) node.value = json.get<bool>();
  if (json.is_number_float()) node.value = json.get<double>();
  if (json.is_number_integer()) node.value = json.get<int64_t>();
  if (json.is_string()) node.value = json.get<std::string>();
  if (json.is_array()) {
    Node::Array items;
    for (const auto& item : json) items.push_back(node_from(item));
    node.value = items;
  }
  if (json.is_object()) {
    Node::Table table;
    for (const auto& [key, value] : json.items()) table.emplace_back(key, node_from(value));
    node.value = table;
  }
  return node;
}

}  // namespace

std::map<std::string, Mapping>& mappings() {
  static std::map<std::string, Mapping> all;
  return all;
}

std::shared_ptr<Loss> make_loss(const std::string& name, const nlohmann::json& options) {
  const Node table = node_from(options.is_null() ? nlohmann::json::object() : options);
  TableReader reader(&table, "loss");
  auto loss = std::static_pointer_cast<Loss>(Registry::instance().find("loss", name, "golden").make(reader));
  reader.finish();
  return loss;
}

Result run(Loss& loss, const std::vector<Tensor>& raw, const std::function<void(LossInput&)>& prepare) {
  std::vector<Tensor> leaves;
  LossInput input;
  for (const Tensor& z : raw) {
    leaves.push_back(z.detach().clone().requires_grad_());
    input.z.push_back(loss.needs().raw_z ? leaves.back() : unit(leaves.back()));
  }
  input.h = input.z;
  input.index = torch::arange(raw[0].size(0));
  input.ranks = World::single();
  if (prepare) prepare(input);
  const Tensor value = loss.forward(input);
  Result result{value.detach(), torch::autograd::grad({value}, leaves, {}, {}, false, true), input.reports()};
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!result.gradients[i].defined()) result.gradients[i] = torch::zeros_like(leaves[i]);
  }
  torch::NoGradGuard no_grad;
  loss.after_step(input);
  return result;
}

}  // namespace foil::golden
