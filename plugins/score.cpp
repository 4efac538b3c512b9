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
  std::vector<Tensor> z;
  for (Tensor view; (view = take(file, "z." + std::to_string(z.size()))).defined();)
    z.push_back(view.to(device).requires_grad_(view.is_floating_point()));
  if (z.empty()) fail(Exit::data, options.file, ": has no tensor z.0.", known_names("tensors", "z.0", names));
  Tensor label = take(file, "label"), index = take(file, "index");
  if (!file.tensors.empty()) {
    fail(Exit::data, options.file, ": the tensor '", file.tensors.begin()->first, "' is nothing that score reads: z.0 ... z.",
         z.size() - 1, ", label, index. Is a view between missing?");
  }
  LossInput input;
  try {
    input = make_input(*loss, z, label, index);
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
  for (size_t v = 0; v < z.size(); ++v)
    gradients["grad.z." + std::to_string(v)] = z[v].grad().defined() ? z[v].grad() : torch::zeros_like(z[v]);
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
