// MyPlugin: each sample's first view must find its second view among the second views of the whole batch.
//
//   s_ij = <z1_i, z2_j> / temperature
//   L    = mean over i of -log( exp s_ii / sum over j of exp s_ij )
//        = mean over i of softplus(log sum over j != i of exp s_ij - s_ii)
//
// Paper: say here which one and which equation; what differs from the published code, and why.
//
//   [[loss]]
//   name = "my_plugin"
//   temperature = 0.2
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class MyPlugin final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.2;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
    }
  };
  explicit MyPlugin(Options options) : options_(options) {}

  Tensor forward(const LossInput& input) override {
    const Tensor& anchor = input.z[0];                                                      // [B, D]
    const Tensor candidate = input.everyone(1);                                             // [N, D]
    const Tensor similarity = torch::matmul(anchor, candidate.t()) / options_.temperature;  // [B, N]
    const Tensor positive = (anchor * input.z[1]).sum(1) / options_.temperature;            // [B]
    const Tensor others = foil::masked_logsumexp(similarity, input.other_samples());        // [B]
    return input.mean(foil::softplus(others - positive));
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<MyPlugin>("my_plugin"); }
