// SPDX-License-Identifier: BSD-3-Clause
// foil score: the value of a loss on the tensors of a file, and its gradients.
#include "api/loss_tensors.h"
#include "api/plain_words.h"
#include "commands.h"
#include "config/load.h"
#include "config/reader.h"
#include "model/weights.h"
#include "program/start.h"
#include "run/safetensors.h"
#include "run/text.h"

#include <foil/host.h>

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

// The tensors of the file, on `device`, those that gradient flows to as leaves.
NamedTensors read_input(const ScoreOptions& options, at::Device device) {
  NamedTensors tensors = load_tensors(options.file).tensors;
  if (tensors.count("z.0") == 0) {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : tensors) names.push_back(name);
    fail(Exit::data, options.file, ": has no tensor z.0.", known_names("tensors", "z.0", names));
  }
  for (auto& [name, tensor] : tensors) tensor = tensor.to(device);
  LossInput input = named_input(tensors);
  for (const NamedTensor& one : tensors_of(input))
    if (one.kind->differentiable && one.tensor->is_floating_point()) one.tensor->requires_grad_();
  return tensors;
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
  if (!place.empty()) place += "]";
  const char* const infinite = found > 0 ? "inf" : "-inf";
  fail(Exit::non_finite, options.file, ": ", name, place, " is ", std::isnan(found) ? "nan" : infinite, ".");
}

// f(), whose refusals are those of the file.
template <class F>
auto of_file(const ScoreOptions& options, F f) {
  try {
    return f();
  } catch (const Error& error) {
    if (error.code() != Exit::usage) throw;
    fail(Exit::data, options.file, ": ", printable(error.what()));
  }
}

}  // namespace

int score_command(const Registry& registry, const ScoreOptions& options) {
  const std::shared_ptr<Loss> loss = make(registry, options);
  const at::Device device = choose_device(options.device, /*local_rank=*/0);
  const NamedTensors tensors = of_file(options, [&] { return read_input(options, device); });
  LossInput input =
      of_file(options, [&] { return input_from(*loss, tensors, {.dataset_size = options.dataset_size}); });
  const std::vector<NamedTensor> seen = tensors_of(input);
  const auto given = [&](const NamedTensor& one) {
    return tensors.count(one.name) ? tensors.at(one.name) : Tensor();
  };
  for (const NamedTensor& one : seen) require_finite(options, one.name, given(one));
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
  for (const NamedTensor& one : seen) {
    if (!one.kind->differentiable) continue;
    const Tensor leaf = given(one);
    gradients["grad." + one.name] = leaf.grad().defined() ? leaf.grad() : torch::zeros_like(leaf);
  }
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
