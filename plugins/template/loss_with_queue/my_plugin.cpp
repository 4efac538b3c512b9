// MyPlugin: each sample's first view must find its second view, as the momentum tower sees it, among the
// second views of the whole batch and the last K of the batches before.
//
//   s_ij = <z1_i, t_j> / temperature,  t over the batch's targets and the queue's
//   L = mean over i of softplus(log sum over j != i of exp s_ij - s_ii)
//
// Paper: say here which one and which equation; what differs from the published code, and why.
//
//   [[loss]]
//   name = "my_plugin"
//   temperature = 0.2
//   queue_length = 4096
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class MyPlugin final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.2;
    int64_t queue_length = 4096;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.integer("queue_length", queue_length, "past targets that serve as negatives", foil::at_least(1));
    }
  };
  explicit MyPlugin(Options options) : options_(options) {}

  // The host keeps both: the momentum tower ([momentum]) and the queue, which takes in the batch after each
  // step.
  foil::Needs needs() const override {
    foil::Needs needs;
    needs.target = true;
    needs.queues = {{.length = options_.queue_length, .source = foil::QueueNeed::Source::target, .view = 1}};
    return needs;
  }

  Tensor forward(const LossInput& input) override {
    const Tensor& anchor = input.z[0];                                           // [B, D]
    const Tensor batch = input.gather(input.target[1]);                          // [N, D]
    const Tensor past = input.queue[0].data.slice(0, 0, input.queue[0].filled);  // [up to K, D]
    const Tensor similarity =
        torch::matmul(anchor, torch::cat({batch, past}).t()) / options_.temperature;   // [B, N + K]
    const Tensor positive = (anchor * input.target[1]).sum(1) / options_.temperature;  // [B]
    const Tensor candidate =
        torch::arange(similarity.size(1), anchor.options().dtype(torch::kLong));  // [N + K]
    const Tensor own =
        candidate.slice(0, input.offset(), input.offset() + anchor.size(0)).unsqueeze(1);  // [B, 1]
    return input.mean(foil::softplus(foil::masked_logsumexp(similarity, own != candidate) - positive));
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<MyPlugin>("my_plugin"); }
