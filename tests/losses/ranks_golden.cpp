// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of published losses that were run by two processes and by one. Ours are run on as many
// ranks as the file names and give what one process of the published code gives on the whole batch; where its
// processes give the same, that is compared too. The files do not say the options of the published runs:
// those here are the ones with which one process gives the file's value and gradients.
#include "api/loss_tensors.h"
#include "ranks/in_process.h"
#include "tests/support/golden.h"

#include <torch/types.h>

#include <cmath>
#include <stdexcept>

namespace {

using namespace foil::golden;
using foil::Tensor;

// One loss of a sum.
struct Term {
  std::string loss;
  nlohmann::json options;
};

// The mean over ranks of the values, and of each rank's z the gradient of that mean.
struct OnRanks {
  Tensor value;
  std::vector<Tensor> gradients;  // of z1, z2
  Tensors state;                  // buffers of the last loss after the step, by name
};

constexpr int64_t kDataset = 48;  // samples that the files with a state are of

// `before` sets the state that each loss begins with.
OnRanks run_on_ranks(const Case& test, const std::vector<Term>& terms,
                     const std::function<void(foil::Loss&)>& before = {}) {
  const int count = test.params.at("world_size");
  const auto size = static_cast<size_t>(count);
  std::vector<Tensor> values(size), first(size), second(size);
  std::vector<Tensors> states(size);
  foil::in_process_ranks(count, [&](foil::World& world) {
    const auto rank = static_cast<size_t>(world.rank());
    foil::LossInput raw;
    for (const char* name : {"in.z1", "in.z2"})
      raw.z.push_back(test.inputs.at(name).chunk(count)[rank].clone().requires_grad_());
    raw.index = test.inputs.at("in.index").chunk(count)[rank];
    raw.ranks = world.shared_from_this();
    Tensor sum = torch::zeros({}, torch::kDouble);
    for (const Term& term : terms) {
      const auto loss = make_loss(term.loss, term.options);
      loss->setup({.dataset_size = kDataset});
      loss->to(torch::kDouble);
      if (before) before(*loss);
      const foil::LossInput input = foil::scaled(raw.anew(), loss->needs().raw_z);
      sum = sum + input.join((*loss)(input));
      const torch::NoGradGuard no_gradient;
      loss->after_step(input);
      states[rank].clear();
      for (const auto& buffer : loss->named_buffers()) states[rank][buffer.key()] = buffer.value().clone();
    }
    sum.backward();
    values[rank] = sum.detach();
    first[rank] = raw.z[0].grad() / count;
    second[rank] = raw.z[1].grad() / count;
  });
  for (const auto& [name, buffer] : states[0])
    for (const Tensors& other : states)
      if (!other.at(name).equal(buffer)) throw std::runtime_error(name + " differs between ranks");
  return {torch::stack(values).mean(), {torch::cat(first), torch::cat(second)}, states[0]};
}

Tensors of_one(const OnRanks& got) {
  return {
      {"single.loss", got.value}, {"single.grad.z1", got.gradients[0]}, {"single.grad.z2", got.gradients[1]}};
}

// What the file holds of one process; and of several, where they are right.
std::function<Tensors(const Case&)> of_ranks(std::vector<Term> terms, bool exact) {
  return [terms = std::move(terms), exact](const Case& test) {
    const OnRanks got = run_on_ranks(test, terms);
    Tensors all = of_one(got);
    if (got.state.contains("log_u")) all["state.u.after"] = got.state.at("log_u").exp();
    if (exact)
      all.merge(
          Tensors{{"out.loss", got.value}, {"grad.z1", got.gradients[0]}, {"grad.z2", got.gradients[1]}});
    return all;
  };
}

const std::string kPart = "how a rank's part is cut is each code's own; their mean is compared";
Mapping exact(const std::string& component, std::vector<Term> terms) {
  return {component, of_ranks(std::move(terms), true), {{"out.loss_per_rank", kPart}}};
}
// Published processes whose gradient is another than that of one.
Mapping right(const std::string& component, std::vector<Term> terms, const std::string& why) {
  return {component,
          of_ranks(std::move(terms), false),
          {{"out.loss_per_rank", kPart}, {"out.loss", why}, {"grad.z1", why}, {"grad.z2", why}}};
}

const Term kClip{"clip", {{"temperature", 0.05}, {"learn_temperature", false}}};
const Term kContrast{"infonce", {{"temperature", 0.2}}};

const Register of_ntxent("dp_ntxent", exact("infonce", {kContrast}));
const Register of_dcl("dp_dcl_lightly", exact("dcl", {{"dcl", {{"temperature", 0.2}}}}));
const Register of_vicreg("dp_vicreg", exact("vicreg", {{"vicreg", nlohmann::json::object()}}));
const Register of_vicreg_lightly("dp_vicreg_lightly",
                                 exact("vicreg", {{"vicreg", nlohmann::json::object()}}));
const Register of_siglip(
    "dp_siglip",
    exact("siglip", {{"siglip", {{"temperature", 0.05}, {"learn_temperature", false}, {"bias", -8.0}}}}));
const Register of_clip_global("dp_clip_global_withgrad", exact("clip", {kClip}));
const Register of_clip_local("dp_clip_local_withgrad", exact("clip", {kClip}));
const Register of_clip_global_constant("dp_clip_global_nograd",
                                       right("clip", {kClip}, "gathers without gradient: 1/W of it"));
const Register of_clip_local_constant("dp_clip_local_nograd",
                                      right("clip", {kClip}, "gathers without gradient: another direction"));
const Register of_slip("dp_slip", right("clip", {kClip, {"infonce", {{"temperature", 0.1}}}},
                                        "its first term gathers without gradient"));
const Register of_barlow("dp_barlow_lightly",
                         right("barlow", {{"barlow", {{"off_diagonal_weight", 0.005}}}},
                               "normalises by the statistics of each rank: another loss"));

// ---- SogCLR and LibAUC's form of it, in which a batch of new samples is its own estimate.

const Term kSogclr{
    "sogclr",
    {{"temperature", 0.1}, {"estimate_momentum", 0.1}, {"first_visit", "batch"}, {"directions", "sum"}}};
const Register of_sogclr("dp_sogclr",
                         right("sogclr", {kSogclr}, "the gradient of the rank's own rows alone"));
const Register of_sogclr_libauc("dp_sogclr_libauc", exact("sogclr", {kSogclr}));

// ---- iSogCLR on two modalities. The published estimate is s exp(b), b the largest exponent met; it has the
// positive among N terms, whose sum is divided by N - 1; and its weights divide by s + 1e-10, which a first
// estimate of 1e-10 / rate stands for.

Tensors isogclr_bimodal(const Case& test) {
  constexpr double kTemperature = 0.07, kRate = 0.8, kAdded = 1e-10;
  const Tensor index = test.inputs.at("in.index");
  const auto n = static_cast<double>(index.size(0));
  const double extra = std::log(n / (n - 1));
  const Term term{"isogclr",
                  {{"candidates", "other_view"},
                   {"surrogate", "difference"},
                   {"first_visit", "none"},
                   {"positive_among_negatives", true},
                   {"directions", "sum"},
                   {"temperature", kTemperature},
                   {"smallest_temperature", 0.005},
                   {"largest_temperature", 1.0},
                   {"estimate_momentum", 1 - kRate},
                   {"robustness", 6 + extra},
                   {"gradient_momentum", 0.1},
                   {"gradient_clip", 5},
                   {"temperature_learning_rate", 0.03}}};
  const Tensor cosine =
      torch::matmul(foil::unit(test.inputs.at("in.z1")), foil::unit(test.inputs.at("in.z2")).t());
  const auto largest = [&](const Tensor& c) {
    const Tensor met = ((c - c.diagonal().unsqueeze(1)) / kTemperature).amax(1);
    return torch::zeros({kDataset}, torch::kDouble).index_copy(0, index, met);
  };
  const Tensor of_image = largest(cosine), of_text = largest(cosine.t());
  const auto run_from = [&](double added) {
    return run_on_ranks(test, {term}, [&](foil::Loss& loss) {
      const torch::NoGradGuard no_gradient;
      auto buffers = loss.named_buffers();
      buffers["log_u_1_2"].copy_(std::log(added / (1 - kRate)) + of_image - extra);
      buffers["log_u_2_1"].copy_(std::log(added / (1 - kRate)) + of_text - extra);
    });
  };
  Tensors all = of_one(run_from(kAdded));
  const Tensors state = run_from(0).state;
  all["state.s_I.after"] = (state.at("log_u_1_2") + extra - of_image).exp();
  all["state.tau_I.after"] = state.at("temperature_1_2");
  return all;
}

// What is added to s is in the published gradient of a temperature by its weights, and not by its log: 1e-10
// of an s near 0.05.
double of_temperatures(const std::string& name, const nlohmann::json&) {
  return name == "state.tau_I.after" ? 1e-7 : 1e-9;
}

const std::string kOwn = "the gradient of the rank's own rows alone: 1/W of it";
const Register of_isogclr_bimodal(
    "dp_isogclr_bimodal",
    {"isogclr",
     isogclr_bimodal,
     {{"out.loss_per_rank", kPart}, {"out.loss", kOwn}, {"grad.z1", kOwn}, {"grad.z2", kOwn}},
     of_temperatures});

}  // namespace
