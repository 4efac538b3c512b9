// SPDX-License-Identifier: BSD-3-Clause
// The losses that the benchmark of contrastive losses measures: their embeddings, foil's loss and the plain
// formula of each.
#pragma once

#include "ranks/world.h"
#include "tests/support/plain_losses.h"

#include <foil/contrast.h>
#include <foil/host.h>

#include <torch/nn/functional/normalization.h>
#include <torch/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace foil::bench {

inline const std::vector<std::string> kLosses{"infonce", "clip", "ntxent", "supcon", "siglip", "dcl", "mw"};

struct Case {
  std::string loss = "infonce";
  int64_t n = 4096;  // rows that are compared; samples, or two views of half as many
  double temperature = 0.07;
  bool trained = false;

  bool stacked() const { return loss == "ntxent" || loss == "supcon" || loss == "dcl"; }
  int64_t samples() const { return stacked() ? n / 2 : n; }
  Tensor label() const { return torch::arange(samples()) % 100; }
};

// The value, with gradient, of two views [samples, D].
using Implementation = std::function<Tensor(const Case&, const std::vector<Tensor>&)>;

// Two views of unit norm: independent, or pairs at a cosine of about 0.96.
inline std::vector<Tensor> embeddings(const Case& c, int64_t d) {
  const auto random = [&] { return unit(torch::randn({c.samples(), d})); };
  const Tensor x = random(), y = random();
  return {x, c.trained ? unit(x + 0.3 * y) : y};
}

inline Implementation plain_implementation(const Case& of) {
  const auto scale = [](const Case& c, const Tensor& like) {
    return torch::full({}, 1 / c.temperature, like.options().requires_grad(false)).requires_grad_();
  };
  static const std::map<std::string, Implementation> all{
      {"infonce", [](const Case& c, const auto& z) { return plain::infonce(z[0], z[1], c.temperature); }},
      {"clip", [=](const Case& c, const auto& z) { return plain::clip(z[0], z[1], scale(c, z[0])); }},
      {"ntxent", [](const Case& c, const auto& z) { return plain::ntxent(z, c.temperature); }},
      {"supcon", [](const Case& c, const auto& z) { return plain::supcon(z, c.label(), c.temperature); }},
      {"siglip",
       [=](const Case& c, const auto& z) {
         const Tensor bias = torch::full({}, -10, z[0].options().requires_grad(false)).requires_grad_();
         return plain::siglip(z[0], z[1], scale(c, z[0]), bias);
       }},
      {"dcl", [](const Case& c, const auto& z) { return plain::dcl(z, c.temperature); }},
      {"mw", [](const Case& c, const auto& z) { return plain::mw(z[0], z[1], c.temperature); }}};
  return all.at(of.loss);
}

// foil's loss of that name, made once and set up for as many samples; on one rank.
inline Implementation of_plugin(const std::string& name, const std::string& options) {
  load_plugins();
  const std::shared_ptr<Loss> loss = make_loss(name, options);
  loss->setup({});
  return [=](const Case& c, const std::vector<Tensor>& z) {
    LossInput input;
    input.z = z;
    input.index = torch::arange(c.samples());
    if (loss->needs().labels) input.label = c.label();
    input.ranks = World::single();
    for (Tensor& parameter : loss->parameters()) parameter.mutable_grad().reset();
    return (*loss)(input);
  };
}

// InfoNCE of one direction, which is no loss of its own.
inline Tensor one_direction(const Case& c, const std::vector<Tensor>& z) {
  LossInput input;
  input.z = z;
  input.index = torch::arange(c.samples());
  input.ranks = World::single();
  const contrast::Pairs pairs = contrast::between(input, 0, 1, 1 / c.temperature);
  return input.mean(contrast::mean_lse(pairs, (z[0] * z[1]).sum(1) / c.temperature));
}

inline Implementation foil_implementation(const Case& of) {
  if (of.loss == "infonce") return one_direction;
  const std::string temperature = "temperature = " + std::to_string(of.temperature) + "\n";
  const std::string wide = "smallest_temperature = 1e-6\nlargest_temperature = 1e6\n";
  if (of.loss == "ntxent") return of_plugin("infonce", temperature);
  if (of.loss == "supcon") return of_plugin("supcon", temperature + "base_" + temperature);
  if (of.loss == "clip" || of.loss == "siglip") return of_plugin(of.loss, temperature + wide);
  if (of.loss == "mw") return of_plugin("mw", temperature + "pairing = \"per_query\"\n");
  return of_plugin(of.loss, temperature);
}

}  // namespace foil::bench
