// SPDX-License-Identifier: BSD-3-Clause
#include "commands.h"
#include "config/load.h"
#include "config/reader.h"
#include "run/safetensors.h"

#include <foil/host.h>
#include <torch/cuda.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstdio>

namespace foil {
namespace {

// The loss with the options that --set gives, "temperature=0.2" or "loss.temperature=0.2".
std::shared_ptr<Loss> make(const Registry& registry, const ScoreOptions& options) {
  const Component& component = registry.find("loss", options.loss, "score");
  const Node root = table_of_sets(options.sets, "loss");
  TableReader reader(root.find("loss"), "loss");
  component.describe(reader);
  reader.finish();
  return std::static_pointer_cast<Loss>(component.make(reader));
}

// Takes a tensor out of the file; undefined when it is not there.
Tensor take(TensorFile& file, const std::string& name) {
  const auto it = file.tensors.find(name);
  if (it == file.tensors.end()) return {};
  const Tensor found = it->second;
  file.tensors.erase(it);
  return found;
}

// NAME.0, NAME.1, ... up to the first that is not there.
std::vector<Tensor> take_all(TensorFile& file, const std::string& name, at::Device device) {
  std::vector<Tensor> all;
  for (Tensor one; (one = take(file, name + "." + std::to_string(all.size()))).defined();) all.push_back(one.to(device));
  return all;
}

void want_gradients(std::vector<Tensor>& tensors) {
  for (Tensor& x : tensors) x.requires_grad_(x.is_floating_point());
}

void add_gradients(std::map<std::string, Tensor>& gradients, const std::string& name, const std::vector<Tensor>& tensors) {
  for (size_t v = 0; v < tensors.size(); ++v)
    gradients["grad." + name + "." + std::to_string(v)] =
        tensors[v].grad().defined() ? tensors[v].grad() : torch::zeros_like(tensors[v]);
}

}  // namespace

int score_command(const Registry& registry, const ScoreOptions& options) {
  const std::shared_ptr<Loss> loss = make(registry, options);
  TensorFile file = load_tensors(options.file);
  const bool there = torch::cuda::is_available();
  if (options.device == "cuda" && !there)
    fail(Exit::usage, "--device cuda: no CUDA device is there, or this foil was built without CUDA.");
  const at::Device device = there && options.device != "cpu" ? at::kCUDA : at::kCPU;

  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.push_back(name);
  std::vector<Tensor> z = take_all(file, "z", device);
  if (z.empty()) fail(Exit::data, options.file, ": has no tensor z.0.", known_names("tensors", "z.0", names));
  Given given{.label = take(file, "label"),
              .index = take(file, "index"),
              .p = take_all(file, "p", device),
              .target = take_all(file, "target", device),
              .queue = take_all(file, "queue", device)};
  if (!file.tensors.empty()) {
    fail(Exit::data, options.file, ": the tensor '", file.tensors.begin()->first,
         "' is nothing that score reads: z.0, z.1, ..., p, target and queue alike, label, index. Is one between missing?");
  }
  want_gradients(z);
  want_gradients(given.p);
  LossInput input;
  try {
    input = make_input(*loss, z, given);
  } catch (const Error& error) {
    fail(Exit::data, options.file, ": ", error.what());
  }
  torch::manual_seed(0);  // parameters of the loss
  loss->setup(input.sizes);
  loss->to(device, z[0].scalar_type());
  const Tensor value = loss->forward(input);
  value.backward();

  std::printf("%s %.17g\n", options.loss.c_str(), value.item<double>());
  for (const auto& [name, part] : input.reports()) std::printf("%s %.17g\n", name.c_str(), part.item<double>());
  std::map<std::string, Tensor> gradients{{"value", value.detach()}};
  add_gradients(gradients, "z", z);
  if (!input.p.empty()) add_gradients(gradients, "p", given.p);
  for (const auto& parameter : loss->named_parameters()) {
    if (parameter.value().grad().defined()) gradients["grad." + parameter.key()] = parameter.value().grad();
  }
  std::string out = options.out;
  if (out.empty())
    out = (options.file.ends_with(".safetensors") ? options.file.substr(0, options.file.size() - 12) : options.file) +
          ".gradients.safetensors";
  save_tensors(out, gradients, {{"loss", options.loss}});
  std::printf("%s\n", out.c_str());
  return 0;
}

}  // namespace foil
