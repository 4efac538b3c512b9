// MyPlugin: InfoNCE of the first view against the second views, in which samples that have been hard so far
// count more.
//
//   s_ij = <z1_i, z2_j> / temperature
//   l_i  = softplus(log sum over j != i of exp s_ij - s_ii)
//   L    = mean over i of (1 + strength d_i) l_i
//   after the step: d_i = momentum d_i + (1 - momentum) l_i
//
// d is a buffer over the training set, zero at the start, constant for the gradient.
// Paper: say here which one and which equation; what differs from the published code, and why.
//
//   [[loss]]
//   name = "my_plugin"
//   temperature = 0.2
//   strength = 1.0
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class MyPlugin final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.2;
    double strength = 1.0;
    double momentum = 0.9;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.number("strength", strength, "how much more a hard sample counts", foil::at_least(0));
      f.number("momentum", momentum, "of the average of a sample's own loss", foil::between(0, 1));
    }
  };
  explicit MyPlugin(Options options) : options_(options) {}

  foil::Needs needs() const override { return {.index = true}; }

  // Buffers registered here are moved, saved, loaded and resumed by the host.
  void setup(const foil::Sizes& sizes) override {
    difficulty_ = register_buffer("difficulty", torch::zeros({sizes.dataset_size}));
  }

  Tensor forward(const LossInput& input) override {
    const Tensor& anchor = input.z[0];                                                      // [B, D]
    const Tensor candidate = input.everyone(1);                                             // [N, D]
    const Tensor similarity = torch::matmul(anchor, candidate.t()) / options_.temperature;  // [B, N]
    const Tensor positive = (anchor * input.z[1]).sum(1) / options_.temperature;            // [B]
    const Tensor others = foil::masked_logsumexp(similarity, input.other_samples());        // [B]
    const Tensor each = foil::softplus(others - positive);                                  // [B]
    input.keep("each", each);
    return input.mean((1 + options_.strength * difficulty_.index_select(0, input.index)) * each);
  }

  // The only place where state moves. Gathered in global order, so that it has the same bits on every rank.
  void after_step(const LossInput& input) override {
    const Tensor each = input.gather(input.kept("each")), index = input.gather(input.index);  // [N]
    const Tensor before = difficulty_.index_select(0, index);                                 // [N]
    foil::scatter_rows(difficulty_, index, options_.momentum * before + (1 - options_.momentum) * each,
                       foil::Duplicates::mean);
  }

 private:
  Options options_;
  Tensor difficulty_;  // [dataset_size]
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<MyPlugin>("my_plugin"); }
