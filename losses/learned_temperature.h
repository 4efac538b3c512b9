// SPDX-License-Identifier: BSD-3-Clause
// The temperature that a loss learns as the log of its inverse, as CLIP does: a parameter of the name that it
// has in open_clip's weights, logit_scale.
#pragma once

#include <foil/plugin.h>

#include <sstream>

namespace foil {

struct TemperatureOptions {
  double temperature = 0.07;
  bool learn_temperature = true;
  double smallest_temperature = 0.01;
  double largest_temperature = 1;
  void describe(Fields& f) {
    f.number("temperature", temperature, "divides the similarities; at the start, where it is learned",
             above(0));
    f.flag("learn_temperature", learn_temperature, "the temperature is a parameter");
    f.number("smallest_temperature", smallest_temperature, "lower bound of a learned temperature", above(0));
    f.number("largest_temperature", largest_temperature, "upper bound of a learned temperature", above(0));
  }
};

class LearnedTemperature {
 public:
  // Throws Error (Exit::usage) for a learned temperature that is not between its bounds.
  explicit LearnedTemperature(const TemperatureOptions& options) : options_(options) {
    if (!options.learn_temperature) return;
    std::ostringstream most, between;
    most << "at most largest_temperature = " << options.largest_temperature;
    if (options.smallest_temperature > options.largest_temperature)
      refuse("smallest_temperature", options.smallest_temperature, most.str());
    between << options.smallest_temperature << " to " << options.largest_temperature
            << ", the bounds of a learned temperature";
    if (options.temperature < options.smallest_temperature ||
        options.temperature > options.largest_temperature)
      refuse("temperature", options.temperature, between.str());
  }
  // For setup: registers the parameter, a scalar, with `loss`.
  void setup(torch::nn::Module& loss) {
    if (options_.learn_temperature)
      log_scale_ = loss.register_parameter("logit_scale",
                                           torch::full({}, -std::log(options_.temperature), torch::kFloat));
  }
  // 1 / temperature: a scalar in the type of `like`, with gradient where it is learned.
  Tensor scale(const Tensor& like) const {
    if (options_.learn_temperature) return log_scale_.exp();
    return torch::full({}, 1 / options_.temperature, like.options().requires_grad(false));
  }
  // For after_step: back between the bounds.
  void bound() {
    if (options_.learn_temperature)
      log_scale_.clamp_(-std::log(options_.largest_temperature), -std::log(options_.smallest_temperature));
  }

 private:
  TemperatureOptions options_;
  Tensor log_scale_;  // []
};

}  // namespace foil
