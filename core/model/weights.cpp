// SPDX-License-Identifier: BSD-3-Clause
#include "model/weights.h"

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace foil {
namespace {

using Tensors = std::map<std::string, at::Tensor>;
constexpr std::array<std::string_view, 5> kPrefixes = {"module.", "backbone.", "encoder.", "encoder_q.", "_orig_mod."};
constexpr std::array<std::string_view, 4> kIgnored = {"fc.", "head.", "encoder_k.", "queue"};

std::string shape(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

// Copies `from` into `into` when `differences` and the comparison of both sides leave nothing to complain about.
void copy(const Tensors& from, const Tensors& into, const std::string& place, bool any_float, std::string differences) {
  std::vector<std::string> known;
  for (const auto& [name, tensor] : into) {
    known.push_back(name);
    const auto hit = from.find(name);
    if (hit == from.end()) {
      differences += "\n  missing: " + name + " " + shape(tensor);
    } else if (hit->second.sizes() != tensor.sizes()) {
      differences += "\n  shape: " + name + " is " + shape(hit->second) + ", allowed: " + shape(tensor);
    } else if (hit->second.scalar_type() != tensor.scalar_type() &&
               !(any_float && hit->second.is_floating_point() && tensor.is_floating_point())) {
      differences += std::string("\n  dtype: ") + name + " is " + c10::toString(hit->second.scalar_type()) +
                     ", allowed: " + c10::toString(tensor.scalar_type());
    }
  }
  for (const auto& [name, tensor] : from) {
    if (into.contains(name)) continue;
    differences += "\n  unexpected: " + name + " " + shape(tensor);
    if (const std::string near = nearest(name, known); !near.empty()) differences += ". Did you mean '" + near + "'?";
  }
  if (!differences.empty()) fail(Exit::data, place, ": the tensors do not fit:", differences);
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : into) at::Tensor(tensor).copy_(from.at(name));
}

bool starts_with_any(std::string_view name, const auto& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace

Tensors named_tensors(const torch::nn::Module& module) {
  Tensors all;
  for (const auto& item : module.named_parameters()) all.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) all.emplace(item.key(), item.value());
  return all;
}

void move_to(torch::nn::Module& module, at::Device device, at::ScalarType dtype) {
  for (auto& [name, tensor] : named_tensors(module)) {
    at::Tensor(tensor).set_data(tensor.to(device, tensor.is_floating_point() ? dtype : tensor.scalar_type()));
  }
}

void copy_exactly(const Tensors& from, const Tensors& into, const std::string& place) { copy(from, into, place, false, ""); }

std::vector<std::string> load_weights(torch::nn::Module& module, const Tensors& weights, const std::string& place) {
  const Tensors into = named_tensors(module);
  Tensors from;
  std::vector<std::string> left_out;
  std::string twice;
  for (const auto& [full, tensor] : weights) {
    std::string name = full;
    while (!into.contains(name) && starts_with_any(name, kPrefixes)) name.erase(0, name.find('.') + 1);
    if (!into.contains(name) && starts_with_any(name, kIgnored)) {
      left_out.push_back(full);
    } else if (!from.emplace(name, tensor).second) {
      twice += "\n  twice: " + full + " is another " + name;
    }
  }
  copy(from, into, place, true, twice);
  return left_out;
}

}  // namespace foil
