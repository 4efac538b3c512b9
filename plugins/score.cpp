// SPDX-License-Identifier: BSD-3-Clause
// foil score: the value of a loss on the tensors of a file, and its gradients.
#include "commands.h"
#include "config/load.h"
#include "config/reader.h"
#include "model/weights.h"
#include "plain_words.h"
#include "run/safetensors.h"
#include "run/text.h"

#include <foil/host.h>

#include <torch/cuda.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
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
  try {
    return std::static_pointer_cast<Loss>(component.make(reader));
  } catch (const Error& error) {
    throw reader.with_place(error);
  }
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
  for (Tensor one; (one = take(file, name + "." + std::to_string(all.size()))).defined();)
    all.push_back(one.to(device));
  return all;
}

void want_gradients(std::vector<Tensor>& tensors) {
  for (Tensor& x : tensors) x.requires_grad_(x.is_floating_point());
}

void add_gradients(std::map<std::string, Tensor>& gradients, const std::string& name,
                   const std::vector<Tensor>& tensors) {
  for (size_t v = 0; v < tensors.size(); ++v)
    gradients["grad." + name + "." + std::to_string(v)] =
        tensors[v].grad().defined() ? tensors[v].grad() : torch::zeros_like(tensors[v]);
}

// Everything that the loss may read, out of the file. What is left in the file is refused.
std::pair<std::vector<Tensor>, Given> take_input(TensorFile& file, const ScoreOptions& options,
                                                 at::Device device) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.push_back(name);
  std::vector<Tensor> z = take_all(file, "z", device);
  if (z.empty()) fail(Exit::data, options.file, ": has no tensor z.0.", known_names("tensors", "z.0", names));
  Given given{.label = take(file, "label"),
              .index = take(file, "index"),
              .h = take_all(file, "h", device),
              .p = take_all(file, "p", device),
              .target = take_all(file, "target", device),
              .queue = take_all(file, "queue", device),
              .queue_label = take_all(file, "queue_label", device),
              .queue_index = take_all(file, "queue_index", device),
              .sizes = {.dataset_size = options.dataset_size}};
  if (!file.tensors.empty()) {
    fail(Exit::data, options.file, ": the tensor '", printable(file.tensors.begin()->first),
         "' is nothing that score reads: z.0, z.1, ..., h, p, target, queue, queue_label and queue_index "
         "alike, label, index. ",
         "Is one between missing?");
  }
  return {std::move(z), std::move(given)};
}

// The first entry that is not finite ends the program: a value from it would be no value.
void require_finite(const ScoreOptions& options, const std::string& name, const Tensor& x) {
  if (!x.defined() || !x.is_floating_point()) return;
  const Tensor bad = x.isfinite().logical_not().nonzero();
  if (bad.size(0) == 0) return;
  std::string place;
  Tensor entry = x.detach();
  for (int64_t d = 0; d < x.dim(); ++d) {
    const int64_t at = bad[0][d].item<int64_t>();
    place += (d ? ", " : "[") + std::to_string(at);
    entry = entry[at];
  }
  const double found = entry.item<double>();
  fail(Exit::non_finite, options.file, ": ", name, place.empty() ? "" : place + "]", " is ",
       std::isnan(found) ? "nan"
       : found > 0       ? "inf"
                         : "-inf",
       ".");
}

void require_finite(const ScoreOptions& options, const std::string& name,
                    const std::vector<Tensor>& tensors) {
  for (size_t v = 0; v < tensors.size(); ++v)
    require_finite(options, name + "." + std::to_string(v), tensors[v]);
}

LossInput input_of(const Loss& loss, const std::vector<Tensor>& z, const Given& given,
                   const ScoreOptions& options) {
  try {
    LossInput input = make_input(loss, z, given);
    require_finite(options, "z", z);
    if (!input.h.empty()) require_finite(options, "h", given.h);
    if (!input.p.empty()) require_finite(options, "p", given.p);
    if (!input.target.empty()) require_finite(options, "target", given.target);
    if (!input.queue.empty()) require_finite(options, "queue", given.queue);
    return input;
  } catch (const Error& error) {
    if (error.code() != Exit::usage) throw;
    fail(Exit::data, options.file, ": ", error.what());
  }
}

}  // namespace

int score_command(const Registry& registry, const ScoreOptions& options) {
  const std::shared_ptr<Loss> loss = make(registry, options);
  TensorFile file = load_tensors(options.file);
  const bool there = torch::cuda::is_available();
  if (options.device == "cuda" && !there)
    fail(Exit::usage, "--device cuda: no CUDA device is there, or this foil was built without CUDA.");
  const at::Device device = there && options.device != "cpu" ? at::kCUDA : at::kCPU;

  auto [z, given] = take_input(file, options, device);
  for (std::vector<Tensor>* leaves : {&z, &given.h, &given.p}) want_gradients(*leaves);
  const LossInput input = input_of(*loss, z, given, options);
  torch::manual_seed(0);  // parameters of the loss
  set_up(*loss, input.sizes);
  move_to(*loss, device, input.z[0].scalar_type());
  const Tensor value = in_plain_words("the loss '" + options.loss + "' on " + options.file, [&] {
    const Tensor scalar = (*loss)(input);
    if (scalar.requires_grad()) scalar.backward();
    return scalar;
  });
  require_finite(options, "the value of " + options.loss, value);
  std::map<std::string, Tensor> gradients{{"value", value.detach()}};
  add_gradients(gradients, "z", z);
  if (!input.h.empty()) add_gradients(gradients, "h", given.h);
  if (!input.p.empty()) add_gradients(gradients, "p", given.p);
  for (const auto& parameter : loss->named_parameters()) {
    if (parameter.value().grad().defined()) gradients["grad." + parameter.key()] = parameter.value().grad();
  }
  for (const auto& [name, tensor] : gradients) require_finite(options, name, tensor);
  for (const auto& [name, tensor] : input.reports()) require_finite(options, name, tensor);

  std::printf("%s %.17g\n", options.loss.c_str(), value.item<double>());
  for (const auto& [name, part] : input.reports())
    std::printf("%s %.17g\n", name.c_str(), part.item<double>());
  std::string out = options.out;
  if (out.empty())
    out = (options.file.ends_with(".safetensors") ? options.file.substr(0, options.file.size() - 12)
                                                  : options.file) +
          ".gradients.safetensors";
  save_tensors(out, gradients, {{"loss", options.loss}});
  std::printf("%s\n", out.c_str());
  return 0;
}

}  // namespace foil
