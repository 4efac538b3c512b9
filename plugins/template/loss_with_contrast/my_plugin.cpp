// MyPlugin: each sample's first view must find its second view among the second views of the whole batch,
// without the matrix of similarities: memory grows with the batch, not with its square.
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
#include <foil/contrast.h>
#include <foil/plugin.h>

namespace {

namespace contrast = foil::contrast;
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
    // This rank's first views with all ranks' second views, each without its own sample. foil/contrast.h says
    // how other masks, weights and sums are written.
    const contrast::Pairs pairs = contrast::between(input, 0, 1, 1 / options_.temperature);
    const Tensor others = contrast::reduce(pairs, {contrast::lse()})[0];              // [B]
    const Tensor positive = (input.z[0] * input.z[1]).sum(1) / options_.temperature;  // [B]
    // For a mean over rows contrast::mean_lse(pairs, positive) is the same with three products, not four.
    return input.mean(foil::softplus(others - positive));
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<MyPlugin>("my_plugin"); }
