// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of gram: the published volumes and their contrast, without its matching head.
#include "tests/support/golden.h"

#include <torch/types.h>

namespace {

using namespace foil::golden;
using foil::Tensor;

Result run_gram(const Case& test, bool detach_gathered) {
  const nlohmann::json& p = test.params;
  const auto loss = make_loss("gram", {{"temperature", p.at("temperature_init")},
                                       {"label_smoothing", p.at("label_smoothing")},
                                       {"detach_gathered", detach_gathered}});
  loss->setup({});
  loss->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  loss->named_parameters()["temperature"].copy_(test.inputs.at("in.temp"));
  const torch::AutoGradMode with_gradient(true);
  return run(*loss, test.inputs.at("in.z").unbind(0));
}

// The total adds the matching head's loss, whose logits are inputs of their own: the gradients of z and of
// the temperature are those of the volumes alone.
Tensors gram(const Case& test) {
  const Result whole = run_gram(test, false), published = run_gram(test, true);
  return {{"out.loss_area", whole.loss},
          {"grad.z", torch::stack(whole.gradients)},
          {"grad.temp", whole.parameter_gradients.at("temperature")},
          {"grad_gathered_nograd.z", torch::stack(published.gradients)},
          {"grad_gathered_nograd.temp", published.parameter_gradients.at("temperature")}};
}

std::map<std::string, std::string> left_out() {
  std::map<std::string, std::string> all;
  for (const char* name :
       {"out.loss", "out.loss_itm", "grad.itm_logits", "out.weights_t2cond", "out.weights_cond2t"})
    all[name] = "of the matching head, which the loss does not have";
  all["out.volume"] = "never held whole; what follows from it is compared";
  for (const char* name : {"out.loss", "out.loss_area", "out.loss_itm", "out.volume", "out.weights_t2cond",
                           "out.weights_cond2t", "grad.z", "grad.temp", "grad.itm_logits"})
    all[std::string("f32.") + name] = "the published code in float32";
  return all;
}

// The published gradients at near duplicates are that far from those taken in long double, ours not.
double tolerance(const std::string& name, const nlohmann::json& params) {
  return params.at("inputs") == "dup" && name.starts_with("grad") ? 3e-6 : 1e-9;
}

const Register of_gram("gram", {"gram", gram, left_out(), tolerance});

}  // namespace
