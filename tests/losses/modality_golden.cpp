// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of the losses between modalities.
#include "ranks/in_process.h"
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;
using foil::Tensor;

// A loss with a learned scale, and a bias where the file has one, as the file has them.
std::shared_ptr<foil::Loss> scaled_loss(const Case& test, const std::string& name) {
  const auto loss = make_loss(name, nlohmann::json::object());
  loss->setup({});
  loss->to(torch::kDouble);
  torch::NoGradGuard no_grad;
  loss->named_parameters()["logit_scale"].copy_(test.inputs.at("in.logit_scale").log());
  if (test.inputs.contains("in.logit_bias"))
    loss->named_parameters()["logit_bias"].copy_(test.inputs.at("in.logit_bias"));
  return loss;
}

// The files' scale is the factor itself, ours its logarithm.
Tensors image_and_text(const Case& test, const Result& r) {
  const Tensor scale = test.inputs.at("in.logit_scale");
  return {{"out.loss", r.loss},
          {"grad.image", r.gradients[0]},
          {"grad.text", r.gradients[1]},
          {"grad.logit_scale", r.parameter_gradients.at("logit_scale") / scale}};
}

std::vector<Tensor> image_text(const Case& test) {
  return {test.inputs.at("in.image"), test.inputs.at("in.text")};
}

// ---- clip: open_clip's ClipLoss.

Tensors clip(const Case& test) {
  return image_and_text(test, run(*scaled_loss(test, "clip"), image_text(test)));
}

const Register of_clip("clip", {"clip", clip});

}  // namespace
