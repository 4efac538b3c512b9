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

// At near duplicates the gradient of the scale is 1e-8, the difference of two sums of about 1, so that 1e-15
// of these is 1e-7 of it: the published number is 2.5e-9 of itself away from what 60 digits give, sums in
// other orders more.
double clip_tolerance(const std::string& name, const nlohmann::json& params) {
  return params.at("inputs") == "dup" && name == "grad.logit_scale" ? 2e-7 : 1e-9;
}

const Register of_clip("clip", {"clip", clip, {}, clip_tolerance});

// ---- slip: Mu et al., "SLIP", ECCV 2022: two tables of an experiment, clip and infonce on views of their
// own.

Tensors slip(const Case& test) {
  const double weight = test.params.at("ssl_scale");
  const auto contrast = make_loss("infonce", {{"temperature", test.params.at("ssl_temperature")}});
  const Result clip = run(*scaled_loss(test, "clip"), image_text(test)),
               own = run(*contrast, {test.inputs.at("in.aug1"), test.inputs.at("in.aug2")});
  Tensors all = image_and_text(test, clip);
  all["out.clip_loss"] = clip.loss;
  all["out.ssl_loss"] = own.loss;
  all["out.loss"] = clip.loss + weight * own.loss;
  all["grad.aug1"] = weight * own.gradients[0];
  all["grad.aug2"] = weight * own.gradients[1];
  return all;
}

const std::string kHits = "a share of hits, in percent, beside the loss";
const Register of_slip("slip",
                       {"clip", slip, {{"out.clip_acc", kHits}, {"out.ssl_acc", kHits}}, clip_tolerance});

// ---- siglip: open_clip's SigLipLoss, on one rank and as each of several ranks sees it.

Tensor of_each_rank(foil::Loss& loss, const std::vector<Tensor>& views, int ranks) {
  std::vector<Tensor> values(static_cast<size_t>(ranks));
  foil::in_process_ranks(ranks, [&](foil::World& world) {
    foil::LossInput input;
    for (const Tensor& view : views)
      input.z.push_back(foil::unit(view).chunk(ranks)[static_cast<size_t>(world.rank())]);
    input.index = torch::arange(input.z[0].size(0));
    input.ranks = world.shared_from_this();
    torch::NoGradGuard no_grad;
    values[static_cast<size_t>(world.rank())] = loss(input);
  });
  return torch::stack(values);
}

Tensors siglip(const Case& test) {
  const auto loss = scaled_loss(test, "siglip");
  Tensors all;
  if (test.params.contains("world_size"))
    all["out.per_rank"] = of_each_rank(*loss, image_text(test), test.params.at("world_size"));
  const Result r = run(*loss, image_text(test));
  all.merge(image_and_text(test, r));
  all["grad.logit_bias"] = r.parameter_gradients.at("logit_bias");
  return all;
}

const Register of_siglip("siglip", {"siglip", siglip});

// ---- cwcl: the paper's formula.

Tensors cwcl(const Case& test) {
  const nlohmann::json& p = test.params;
  const auto loss =
      make_loss("cwcl", {{"temperature", p.at("temperature")},
                         {"learn_temperature", false},
                         {"directions", "sum"},
                         {"reverse", p.at("reverse_direction") == "cl" ? "sample" : "weighted"}});
  const Result r = run(*loss, {test.inputs.at("in.p"), test.inputs.at("in.q")});
  return {{"out.loss", r.loss},
          {"out.loss_p2q", r.reports.at("loss_1_2")},
          {"out.loss_q2p", r.reports.at("loss_2_1")},
          {"grad.p", r.gradients[0]},
          {"grad.q", r.gradients[1]}};
}

const Register of_cwcl("cwcl", {"cwcl", cwcl});

// ---- mw: the Mann-Whitney statistic with in-batch negatives (mw) and with explicit ones alone
// (mw_explicit).

// {queries, documents, hard negatives [N, H, D] or undefined} -> views, and their gradients back.
Tensors of_pairs(const Case& test, const std::string& pairing, const std::string& document) {
  std::vector<Tensor> views{test.inputs.at("in.q"), test.inputs.at("in." + document)};
  if (test.inputs.contains("in.neg"))
    for (const Tensor& hard : test.inputs.at("in.neg").unbind(1)) views.push_back(hard);
  const auto loss = make_loss("mw", {{"temperature", test.params.at("temperature")}, {"pairing", pairing}});
  const Result r = run(*loss, views);
  Tensors all{{"out.loss", r.loss},
              {"out.auc", r.reports.at("auc")},
              {"grad.q", r.gradients[0]},
              {"grad." + document, r.gradients[1]}};
  if (views.size() > 2) all["grad.neg"] = torch::stack(at::TensorList(r.gradients).slice(2), 1);
  return all;
}

Tensors mw(const Case& test) { return of_pairs(test, test.params.at("pairing"), "d"); }

Tensors mw_explicit(const Case& test) {
  const bool cross = test.params.at("pairing").get<std::string>().starts_with("i != j");
  return of_pairs(test, cross ? "explicit_cross" : "explicit_all", "pos");
}

const Register of_mw("mw", {"mw", mw});
const Register of_mw_explicit("mw_explicit", {"mw", mw_explicit});

}  // namespace
