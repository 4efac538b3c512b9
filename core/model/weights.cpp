// SPDX-License-Identifier: BSD-3-Clause
// Names first, tensors last: nothing is copied before everything is known to fit.
#include "model/weights.h"

#include <torch/types.h>

#include <algorithm>
#include <string_view>

namespace foil {
namespace {

using Tensors = std::map<std::string, at::Tensor>;
constexpr std::string_view kPrefixes[] = {"module.",         "_orig_mod.", "model.",        "tower.",
                                          "backbone.",       "encoder.",   "base_encoder.", "encoder_q.",
                                          "online_encoder.", "student."};
constexpr std::string_view kIgnored[] = {"fc.",
                                         "head.",
                                         "projector.",
                                         "projection_head.",
                                         "prediction_head.",
                                         "predictor.",
                                         "prototypes",
                                         "classifier.",
                                         "linear.",
                                         "encoder_k.",
                                         "momentum",
                                         "teacher.",
                                         "target_encoder.",
                                         "backbone_momentum.",
                                         "projection_head_momentum.",
                                         "queue",
                                         "loss.",
                                         "optimizer.",
                                         "generator.",
                                         "criterion."};
constexpr std::string_view kCounter = "num_batches_tracked";
constexpr size_t kMostLines = 20;  // of differences; the rest is counted

std::string shape(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

bool counts_batches(const std::string& name) { return name.ends_with(kCounter); }

// What a tensor of the module has against the one of its name in the file; empty when it can be copied.
std::string difference(const std::string& name, const at::Tensor& tensor, const Tensors& from,
                       bool published) {
  const auto hit = from.find(name);
  if (hit == from.end())
    return published && counts_batches(name) ? "" : "missing: " + name + " " + shape(tensor);
  const at::Tensor& other = hit->second;
  if (other.sizes() != tensor.sizes())
    return "shape: " + name + " is " + shape(other) + ", allowed: " + shape(tensor);
  const bool converts = published && other.is_floating_point() && tensor.is_floating_point();
  if (other.scalar_type() == tensor.scalar_type() || converts) return "";
  return std::string("dtype: ") + name + " is " + c10::toString(other.scalar_type()) +
         ", allowed: " + c10::toString(tensor.scalar_type());
}

// Copies `from` into `into` when `differences` and the comparison of both sides leave nothing to complain
// about. `published`: weights from elsewhere, whose floats may be of another type and whose counters may be
// missing.
void copy(const Tensors& from, const Tensors& into, const std::string& place, bool published,
          std::vector<std::string> differences) {
  std::vector<std::string> known;
  for (const auto& [name, tensor] : into) {
    known.push_back(name);
    if (const std::string found = difference(name, tensor, from, published); !found.empty())
      differences.push_back(found);
  }
  for (const auto& [name, tensor] : from) {
    if (into.contains(name) || (published && counts_batches(name))) continue;
    const std::string near = nearest(name, known);
    differences.push_back("unexpected: " + name + " " + shape(tensor) +
                          (near.empty() ? "" : ". Did you mean '" + near + "'?"));
  }
  if (!differences.empty()) {
    std::string text;
    for (size_t i = 0; i < std::min(differences.size(), kMostLines); ++i) text += "\n  " + differences[i];
    if (differences.size() > kMostLines)
      text += "\n  and " + std::to_string(differences.size() - kMostLines) + " more";
    fail(Exit::data, place, ": the tensors do not fit:", text);
  }
  torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : into) {
    if (const auto hit = from.find(name); hit != from.end()) at::Tensor(tensor).copy_(hit->second);
  }
}

bool starts_with_any(std::string_view name, const auto& prefixes) {
  return std::any_of(std::begin(prefixes), std::end(prefixes),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
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

void copy_exactly(const Tensors& from, const Tensors& into, const std::string& place) {
  copy(from, into, place, false, {});
}

std::vector<std::string> load_weights(torch::nn::Module& module, const Tensors& weights,
                                      const std::string& place) {
  const Tensors into = named_tensors(module);
  Tensors from;
  std::vector<std::string> left_out;
  std::vector<std::string> twice;
  for (const auto& [full, tensor] : weights) {
    std::string name = full;
    while (!into.contains(name) && starts_with_any(name, kPrefixes)) name.erase(0, name.find('.') + 1);
    if (!into.contains(name) && starts_with_any(name, kIgnored)) {
      left_out.push_back(full);
    } else if (!from.emplace(name, tensor).second) {
      twice.push_back("twice: " + full + " is another " + name);
    }
  }
  copy(from, into, place, true, twice);
  return left_out;
}

}  // namespace foil
