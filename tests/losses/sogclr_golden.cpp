// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of sogclr: the published code, iSogCLR's copy, and LibAUC's GCLoss_v1.
#include "tests/support/per_sample_golden.h"

namespace {

using namespace foil::golden;

const std::vector<State> u{{"u", "log_u", true}};

Mapping variant(const nlohmann::json& differs) {
  return {"sogclr", [differs](const Case& test) {
            nlohmann::json options{{"temperature", test.params.at("temperature")}, {"update_rate", test.params.at("gamma")}};
            options.update(differs);
            return run_per_sample(test, *make_loss("sogclr", options), u);
          }};
}

const Register sogclr("sogclr", variant({{"first_visit", "batch"}}));
const Register isorepo("sogclr_isorepo", variant({{"first_visit", "none"}, {"history", "sum"}}));
const Register libauc("sogclr_libauc",
                      {"sogclr",
                       [](const Case& test) { return run_per_sample(test, *make_loss("sogclr", libauc_options(test.params)), u); },
                       libauc_left_out()});

}  // namespace
