// SPDX-License-Identifier: BSD-3-Clause
// Golden mapping of hard_contrastive: negatives of the batch, and a bank of negatives as a full queue.
#include "model/tower.h"
#include "tests/support/golden.h"

namespace {

using namespace foil::golden;

const Register hard_contrastive(
    "hard_contrastive",
    {"hard_contrastive", [](const Case& test) {
       const nlohmann::json& p = test.params;
       const bool queue = p.at("layout") == "queue";
       const auto loss = make_loss(
           "hard_contrastive",
           {{"temperature", p.at("temperature")}, {"kept_fraction", p.at("alpha")}, {"negatives", queue ? "queue" : "batch"}});
       const Result r = run(*loss, {test.inputs.at("in.q"), test.inputs.at("in.k")}, [&](foil::LossInput& input) {
         if (!queue) return;
         const foil::Tensor bank = test.inputs.at("in.bank");
         input.queue = {{.data = foil::unit(bank), .label = {}, .index = {}, .filled = bank.size(0), .view = 1}};
       });
       return Tensors{{"out.loss", r.loss}, {"grad.q", r.gradients[0]}, {"grad.k", r.gradients[1]}};
     }});

}  // namespace
