// SPDX-License-Identifier: BSD-3-Clause
// A loss that fails on purpose, on one rank at one step; only for tests. Without a fault it pulls the views
// of a sample together and pushes the global mean away, over the anchors below `valid_below` in global order,
// which may leave ranks without any anchor.
//   nan            the value is nan
//   nan_gradient   the value is finite, its gradient nan
//   throws         backward throws
//   killed         the process gets SIGKILL
//   late           the rank sleeps for `seconds`
// `scale` is used by ranks with valid anchors only, `spare` by nobody.
#include <foil/plugin.h>

#include <torch/csrc/autograd/custom_function.h>

#include <chrono>
#include <csignal>
#include <limits>
#include <thread>

namespace {

using foil::LossInput;
using foil::Tensor;

struct Throws : torch::autograd::Function<Throws> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x.clone(); }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list) {
    foil::fail(foil::Exit::failure, "no gradient today");
  }
};

struct NanGradient : torch::autograd::Function<NanGradient> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x.clone(); }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradient) {
    return {gradient[0] * std::numeric_limits<double>::quiet_NaN()};
  }
};

class Faulty final : public foil::Loss {
 public:
  struct Options {
    std::string fault = "none";
    int64_t rank = 0;
    int64_t at_step = 5;
    int64_t valid_below = 1 << 20;
    double seconds = 0;
    void describe(foil::Fields& f) {
      f.choice("fault", fault, {"none", "nan", "nan_gradient", "throws", "killed", "late"},
               "what goes wrong");
      f.integer("rank", rank, "on which rank");
      f.integer("at_step", at_step, "at which step");
      f.integer("valid_below", valid_below, "anchors below this global position are valid");
      f.number("seconds", seconds, "how late");
    }
  };
  explicit Faulty(Options options) : options_(options) {}

  void setup(const foil::Sizes& sizes) override {
    scale_ = register_parameter("scale", torch::ones({sizes.z_dim}));
    spare_ = register_parameter("spare", torch::ones({3}));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor &a = input.z[0], &b = input.z[1];    // [B, D]
    const Tensor centre = input.everyone(1).mean(0);  // [D]
    const Tensor position = torch::arange(input.offset(), input.offset() + a.size(0), torch::kLong);
    const Tensor valid = position < options_.valid_below;  // [B]
    Tensor anchor = torch::zeros({a.size(0)}, a.options());
    if (valid.any().item<bool>()) anchor = ((a - b).square() * scale_.square() + a * centre).sum(1);
    const Tensor value = input.mean(anchor, valid);
    if (options_.fault == "none" || input.ranks->rank() != options_.rank || input.step != options_.at_step)
      return value;
    if (options_.fault == "nan") return value * std::numeric_limits<double>::quiet_NaN();
    if (options_.fault == "nan_gradient") return NanGradient::apply(value);
    if (options_.fault == "throws") return Throws::apply(value);
    if (options_.fault == "killed") ::raise(SIGKILL);
    std::this_thread::sleep_for(std::chrono::duration<double>(options_.seconds));
    return value;
  }

 private:
  Options options_;
  Tensor scale_, spare_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<Faulty>("faulty"); }
