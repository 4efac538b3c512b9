// SPDX-License-Identifier: BSD-3-Clause
// Golden mappings of SogCLR and iSogCLR on two modalities, image and text: a state of each direction, the
// steps of a file one by one.
#include "tests/losses/estimates_golden.h"

#include "tests/support/golden.h"

#include <torch/types.h>

namespace {

using namespace foil::golden;
using foil::Tensor;

// How a published code names the state of one direction. It keeps an estimate as s exp(b), where b is the
// largest exponent that the sample has met.
struct Names {
  std::string modality, ending;  // of the anchors; of our state and reports
  std::string estimate, largest, temperature, momentum;
};

struct Code {
  std::vector<Names> directions;
  bool positive_counts = false;  // among N terms, whose sum is divided by N - 1
  bool is_sum = false;           // the loss adds over negatives where ours is a mean
  double added = 0;              // to s, in the weights
};

// What the published code calls N / (N - 1), as a log.
double extra(const Code& code, int64_t n) {
  return code.positive_counts ? std::log(static_cast<double>(n) / static_cast<double>(n - 1)) : 0;
}

// One direction in one step of the file.
struct Direction {
  const Names& names;
  Tensor index, estimate, largest, after;  // [N]; before the step: [data set] each; `largest` after it

  Direction(const Case& step, const Names& n, double temperature)
      : names(n), index(step.inputs.at("in.index")) {
    const auto before = [&](const std::string& name) { return step.inputs.at("state." + name + ".before"); };
    estimate = before(names.estimate);
    largest = before(names.largest);
    const Tensor image = foil::unit(step.inputs.at("in.image")), text = foil::unit(step.inputs.at("in.text"));
    const Tensor cosine =
        names.modality == "image" ? torch::matmul(image, text.t()) : torch::matmul(text, image.t());
    const Tensor divisor = names.temperature.empty()
                               ? torch::full({index.size(0)}, temperature, torch::kDouble)
                               : before(names.temperature).index_select(0, index);
    const Tensor met = ((cosine - cosine.diagonal().unsqueeze(1)) / divisor.unsqueeze(1)).amax(1);
    after = largest.index_copy(0, index, torch::maximum(largest.index_select(0, index), met));
  }

  // Our log of the estimate, to whose s of this step `more` is added.
  Tensor log_u(double more, double extra) const {
    const Tensor shifted = estimate * largest.exp();
    const Tensor added = (more * after.exp()).index_select(0, index);
    return shifted.index_add(0, index, added).log() - extra;
  }
};

using Reports = std::vector<std::pair<std::string, std::string>>;  // the file's name and ours

Tensors run_modalities(const Case& test, const Code& code, const std::string& name,
                       const nlohmann::json& options, const Reports& reports = {}) {
  const auto loss = make_loss(name, options);
  loss->setup({.dataset_size = test.params.at("dataset_size")});
  loss->to(torch::kDouble);
  auto buffers = loss->named_buffers();
  const double momentum = options.at("estimate_momentum"), temperature = options.at("temperature");
  return each_step(test, [&](const Case& step, int64_t i) {
    const std::vector<Tensor> z{step.inputs.at("in.image"), step.inputs.at("in.text")};
    const int64_t n = z[0].size(0);
    std::vector<Direction> directions;
    for (const Names& names : code.directions) directions.emplace_back(step, names, temperature);
    // From the file's own state. What the weights add to s is in the average where it was in the estimate
    // before, over the momentum.
    const auto run_from = [&](double added) {
      for (const Direction& d : directions) {
        buffers["log_u" + d.names.ending].copy_(d.log_u(added / momentum, extra(code, n)));
        if (d.names.temperature.empty()) continue;
        buffers["temperature" + d.names.ending].copy_(
            step.inputs.at("state." + d.names.temperature + ".before"));
        buffers["temperature_momentum" + d.names.ending].copy_(
            step.inputs.at("state." + d.names.momentum + ".before"));
      }
      return run(*loss, z, [&](foil::LossInput& input) {
        input.index = step.inputs.at("in.index");
        input.step = i;
        if (test.params.contains("epochs"))
          input.epoch = test.params["epochs"].at(static_cast<size_t>(i)).get<int64_t>();
      });
    };
    const double scale = code.is_sum ? static_cast<double>(n - 1) : 1;
    const Result weighted = run_from(code.added), plain = run_from(0);
    Tensors all{{"out.loss", weighted.loss * scale},
                {"grad.image", weighted.gradients[0] * scale},
                {"grad.text", weighted.gradients[1] * scale}};
    for (const Direction& d : directions) {
      const auto state = [&](const std::string& published) -> Tensor& {
        return all["state." + published + ".after"];
      };
      state(d.names.largest) = d.after;
      state(d.names.estimate) = (buffers["log_u" + d.names.ending] + extra(code, n) - d.after).exp();
      if (d.names.temperature.empty()) continue;
      state(d.names.temperature) = buffers["temperature" + d.names.ending].clone();
      state(d.names.momentum) = buffers["temperature_momentum" + d.names.ending].clone();
    }
    for (const auto& [theirs, ours] : reports) all["out." + theirs] = plain.reports.at(ours);
    return all;
  });
}

nlohmann::json both(const nlohmann::json& p, const char* temperature) {
  return {{"temperature", p.at(temperature)},
          {"estimate_momentum", momentum(p.at("gamma"))},
          {"candidates", "other_view"},
          {"surrogate", "difference"}};
}

// ---- iSogCLR's repository.

Code repository(const nlohmann::json& p, bool temperatures) {
  const auto names = [&](const char* modality, const char* ending, const std::string& letter) {
    return Names{modality,
                 ending,
                 "s_" + letter,
                 "b_" + letter,
                 temperatures ? "tau_" + letter : "",
                 temperatures ? "u_" + letter : ""};
  };
  return {{names("image", "_1_2", "I"), names("text", "_2_1", "T")}, true, false, p.at("eps")};
}

nlohmann::json repository_options(const nlohmann::json& p, const char* temperature) {
  nlohmann::json options = both(p, temperature);
  options.update({{"first_visit", "none"}, {"positive_among_negatives", true}, {"directions", "sum"}});
  return options;
}

Tensors sogclr_bimodal(const Case& test) {
  return run_modalities(test, repository(test.params, false), "sogclr",
                        repository_options(test.params, "temperature"));
}

Tensors isogclr_bimodal(const Case& test) {
  const nlohmann::json& p = test.params;
  const Code code = repository(p, true);
  const std::map<std::string, std::string> schedules{
      {"const", "constant"}, {"cosine", "cosine"}, {"exp", "exponential_from_epoch_one"}};
  nlohmann::json options = repository_options(p, "tau_init");
  options.update({{"smallest_temperature", p.at("tau_min")},
                  {"largest_temperature", p.at("tau_max")},
                  // Where the mean is divided by N - 1, the log of the estimate is larger.
                  {"robustness", p.at("rho_init").get<double>() + extra(code, p.at("N"))},
                  {"gradient_momentum", momentum(p.at("beta_u"))},
                  {"gradient_clip", p.at("grad_clip")},
                  {"temperature_learning_rate", p.at("eta_init")},
                  {"smallest_learning_rate", p.at("eta_min")},
                  {"temperature_schedule", schedules.at(p.at("eta_sched"))},
                  {"schedule_epochs", p.at("max_epoch")},
                  {"schedule_decay", p.at("eta_exp_gamma")}});
  return run_modalities(test, code, "isogclr", options,
                        {{"avg_image_tau", "temperature_1_2"},
                         {"avg_text_tau", "temperature_2_1"},
                         {"grad_tau_image_mean", "temperature_gradient_1_2"},
                         {"grad_tau_text_mean", "temperature_gradient_2_1"},
                         {"eta", "temperature_learning_rate"}});
}

// ---- LibAUC's GCLoss_v2, with one temperature and with learnable ones.

Code libauc(bool temperatures) {
  const auto names = [&](const char* modality, const char* ending, const std::string& place,
                         const std::string& kind) {
    return Names{modality,
                 ending,
                 "u" + place,
                 "b" + place,
                 temperatures ? "learnable_tau_" + kind : "",
                 temperatures ? "grad_tau_" + kind : ""};
  };
  return {{names("image", "_1_2", "1", "img"), names("text", "_2_1", "2", "txt")}, false, true, 0};
}

nlohmann::json libauc_options(const nlohmann::json& p) {
  nlohmann::json options = both(p, "tau");
  options.update({{"first_visit", "batch"}, {"smallest_estimate", p.at("eps")}});
  return options;
}

Tensors sogclr_bimodal_libauc(const Case& test) {
  return run_modalities(test, libauc(false), "sogclr", libauc_options(test.params));
}

Tensors isogclr_bimodal_libauc(const Case& test) {
  const nlohmann::json& p = test.params;
  nlohmann::json options = libauc_options(p);
  options.update(libauc_temperatures(p));
  return run_modalities(test, libauc(true), "isogclr", options);
}

// Of near duplicates the value is a small difference of cosines, whose last digits differ.
double tolerance(const std::string& name, const nlohmann::json& params) {
  return params.at("inputs") == "dup" && name.ends_with("out.loss") ? 1e-8 : 1e-9;
}

// What is added to s is in the published gradient of a temperature by its weights, and not by its log: this
// loss has it in both, or in none, as where the state is compared.
double with_temperatures(const std::string& name, const nlohmann::json& params) {
  const bool follows = name.find("tau") != std::string::npos || name.find("state.u_") != std::string::npos;
  return follows ? 2e-6 : tolerance(name, params);
}

const Register of_sogclr("sogclr_bimodal", {"sogclr", sogclr_bimodal, {}, tolerance});
const Register of_isogclr("isogclr_bimodal", {"isogclr", isogclr_bimodal, {}, with_temperatures});
const Register of_sogclr_libauc("sogclr_bimodal_libauc",
                                {"sogclr", sogclr_bimodal_libauc, libauc_left_out(), tolerance});
const Register of_isogclr_libauc("isogclr_bimodal_libauc",
                                 {"isogclr", isogclr_bimodal_libauc, libauc_left_out(), tolerance});

}  // namespace
