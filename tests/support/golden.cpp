// SPDX-License-Identifier: BSD-3-Clause
#include "tests/support/golden.h"

#include "api/loss_tensors.h"
#include "config/reader.h"
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

template <class Interface>
std::shared_ptr<Interface> made(const char* kind, const std::string& name, const nlohmann::json& options) {
  const Node table = node_from(options.is_null() ? nlohmann::json::object() : options);
  TableReader reader(&table, kind);
  auto component =
      std::static_pointer_cast<Interface>(Registry::instance().find(kind, name, "golden").make(reader));
  reader.finish();
  return component;
}

}  // namespace

std::map<std::string, Mapping>& mappings() {
  static std::map<std::string, Mapping> all;
  return all;
}

std::shared_ptr<Loss> make_loss(const std::string& name, const nlohmann::json& options) {
  return made<Loss>("loss", name, options);
}
std::shared_ptr<Encoder> make_encoder(const std::string& name, const nlohmann::json& options) {
  return made<Encoder>("encoder", name, options);
}
std::shared_ptr<Augmentation> make_augmentation(const std::string& name, const nlohmann::json& options) {
  return made<Augmentation>("augmentation", name, options);
}

Tensors each_step(const Case& test, const std::function<Tensors(const Case& step, int64_t i)>& run) {
  Tensors all;
  for (int64_t i = 0;; ++i) {
    const std::string prefix = "step" + std::to_string(i) + ".";
    Case step{test.params, {}};
    for (const auto& [name, tensor] : test.inputs) {
      if (name.starts_with(prefix)) step.inputs[name.substr(prefix.size())] = tensor;
    }
    if (step.inputs.empty()) return all;
    for (const auto& [name, tensor] : run(step, i)) all[prefix + name] = tensor;
  }
}

Result run(Loss& loss, const std::vector<Tensor>& raw, const std::function<void(LossInput&)>& prepare) {
  return run_step(loss, {.z = raw}, prepare);
}

Result run_step(Loss& loss, const Step& step, const std::function<void(LossInput&)>& prepare) {
  const auto leaves = [](const std::vector<Tensor>& raw) {
    std::vector<Tensor> all;
    for (const Tensor& rows : raw) all.push_back(rows.detach().clone().requires_grad_());
    return all;
  };
  const std::vector<Tensor> z = leaves(step.z), p = leaves(step.p);
  LossInput heads;
  heads.z = z;
  heads.p = p;
  heads.target = step.target;
  Result result;
  LossInput& input = result.input = scaled(heads, loss.needs().raw_z);
  for (const auto& queue : step.queues) input.queue.push_back(queue->look());
  for (const auto& [name, draws] : step.draws) input.preset(name, draws);
  input.index = torch::arange(z[0].size(0));
  input.ranks = World::single();
  if (prepare) prepare(input);
  const Tensor value = loss(input);
  result.loss = value.detach();
  result.reports = input.reports();
  const auto gradients = [&](const std::vector<Tensor>& of) {
    if (of.empty()) return std::vector<Tensor>{};
    std::vector<Tensor> all =
        torch::autograd::grad({value}, of, {}, /*retain_graph=*/true, false, /*allow_unused=*/true);
    for (size_t i = 0; i < of.size(); ++i) {
      if (!all[i].defined()) all[i] = torch::zeros_like(of[i]);
    }
    return all;
  };
  result.gradients = gradients(z);
  result.prediction_gradients = gradients(p);
  for (const auto& item : loss.named_parameters())
    result.parameter_gradients[item.key()] = gradients({item.value()})[0];
  torch::NoGradGuard no_grad;
  loss.after_step(input);
  for (const auto& queue : step.queues) queue->enqueue(input, {});
  return result;
}

void set_queue(QueueStore& queue, const Tensor& data, int64_t pointer) {
  auto state = queue.named_buffers();
  state["data"].copy_(data);
  state["entered"].fill_(data.size(0) + pointer);
}

int64_t queue_pointer(const QueueStore& queue) {
  const auto state = queue.named_buffers();
  return state["entered"].item<int64_t>() % state["data"].size(0);
}

}  // namespace foil::golden
