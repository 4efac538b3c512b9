// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of isogclr: both unimodal losses of the published code, and LibAUC's GCLoss_v1 with learnable temperatures.
#include "tests/support/per_sample_golden.h"

namespace {

using namespace foil::golden;

nlohmann::json published_options(const nlohmann::json& p) {
  return {{"temperature", p.at("tau_init")},        {"smallest_temperature", p.at("tau_min")},
          {"largest_temperature", p.at("tau_max")}, {"robustness", p.at("rho")},
          {"update_rate", p.at("gamma")},           {"gradient_rate", p.at("beta_u")},
          {"gradient_clip", p.at("grad_clip")},     {"temperature_learning_rate", p.at("eta_init")}};
}

Tensors published(const Case& test, const nlohmann::json& options) {
  const std::vector<State> states{{"s", "log_u", true}, {"tau", "temperature"}, {"u", "temperature_momentum"}};
  return run_per_sample(test, *make_loss("isogclr", options), states, [](const std::string& step, const Result& r, Tensors& all) {
    all[step + "out.avg_tau"] = r.reports.at("temperature");
    all[step + "out.grad_tau_mean"] = r.reports.at("temperature_gradient");
    all[step + "out.eta"] = r.reports.at("temperature_learning_rate");
  });
}

const Register isogclr("isogclr", {"isogclr", [](const Case& test) {
                                     nlohmann::json options = published_options(test.params);
                                     options["first_visit"] = "epoch_zero";
                                     return published(test, options);
                                   }});

const Register sqh("isogclr_sqh", {"isogclr", [](const Case& test) {
                                     const std::map<std::string, std::string> schedules{
                                         {"const", "constant"}, {"cosine", "cosine"}, {"exp", "exponential_from_epoch_one"}};
                                     const nlohmann::json& p = test.params;
                                     nlohmann::json options = published_options(p);
                                     options.update({{"surrogate", "squared_hinge"},
                                                     {"margin", p.at("c")},
                                                     {"first_visit", "none"},
                                                     {"temperature_of", "negative"},
                                                     {"positive_among_negatives", true},
                                                     {"smallest_learning_rate", p.at("eta_min")},
                                                     {"temperature_schedule", schedules.at(p.at("eta_sched"))},
                                                     {"schedule_epochs", p.at("max_epoch")}});
                                     if (p.contains("eta_exp_gamma")) options["schedule_decay"] = p.at("eta_exp_gamma");
                                     return published(test, options);
                                   }});

const Register libauc("isogclr_libauc",
                      {"isogclr",
                       [](const Case& test) {
                         const nlohmann::json& p = test.params;
                         nlohmann::json options = libauc_options(p);
                         options.update({{"smallest_temperature", p.at("tau_min")},
                                         {"largest_temperature", p.at("tau_max")},
                                         {"robustness", p.at("rho")},
                                         {"gradient_rate", p.at("beta")},
                                         {"gradient_clip", 0},
                                         {"temperature_learning_rate", p.at("eta")}});
                         return run_per_sample(
                             test, *make_loss("isogclr", options),
                             {{"u", "log_u", true}, {"learnable_tau", "temperature"}, {"grad_tau", "temperature_momentum"}});
                       },
                       libauc_left_out()});

}  // namespace
