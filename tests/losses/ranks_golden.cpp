// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of published losses that were run by two processes and by one. Ours are run on as many
// ranks as the file names and give what one process of the published code gives on the whole batch; where its
// processes give the same, that is compared too. The files do not say the options of the published runs:
// those here are the ones with which one process gives the file's value and gradients.
#include "api/loss_tensors.h"
#include "ranks/in_process.h"
#include "tests/support/golden.h"

#include <torch/types.h>

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
};

OnRanks run_on_ranks(const Case& test, const std::vector<Term>& terms) {
  const int count = test.params.at("world_size");
  const auto size = static_cast<size_t>(count);
  std::vector<Tensor> values(size), first(size), second(size);
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
      loss->setup({});
      loss->to(torch::kDouble);
      const foil::LossInput input = foil::scaled(raw.anew(), loss->needs().raw_z);
      sum = sum + input.join((*loss)(input));
    }
    sum.backward();
    values[rank] = sum.detach();
    first[rank] = raw.z[0].grad() / count;
    second[rank] = raw.z[1].grad() / count;
  });
  return {torch::stack(values).mean(), {torch::cat(first), torch::cat(second)}};
}

// What the file holds of one process; and of several, where they are right.
std::function<Tensors(const Case&)> of_ranks(std::vector<Term> terms, bool exact) {
  return [terms = std::move(terms), exact](const Case& test) {
    const OnRanks got = run_on_ranks(test, terms);
    Tensors all{{"single.loss", got.value},
                {"single.grad.z1", got.gradients[0]},
                {"single.grad.z2", got.gradients[1]}};
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

}  // namespace
