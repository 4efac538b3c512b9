// SPDX-License-Identifier: BSD-3-Clause
// DINO: every crop predicts the momentum encoder's distribution over the outputs of the head, centred and
// sharpened.
// Caron et al., "Emerging properties in self-supervised vision transformers", ICCV 2021, equations 1 to 4 and
// algorithm 1.
//
//   q_v = softmax((t_v - centre) / teacher_temperature), without gradient
//   p_w = softmax(z_w / student_temperature)
//   L   = mean over v at full size and w != v of mean over i of ( - sum over k of q_vik log p_wik )
//   after the step: centre = centre_momentum centre
//                            + (1 - centre_momentum) mean of t over views at full size and the global batch
//
// t and z are what the heads give, not normalised: the head of kind "cosine" has the bottleneck, and its
// frozen_epochs = 1 keeps the directions of the outputs as they are in the first epoch, as the published
// recipe does. The teacher's temperature goes linearly, epoch by epoch, from warmup_teacher_temperature to
// teacher_temperature, which the last of the warmup_epochs has.
//
//   [[loss]]
//   name = "dino"
//   warmup_epochs = 2
//   [head]
//   kind = "cosine"
//   dims = [128, 64, 256]
//   activation = "gelu"
//   batch_norm = false
//   frozen_epochs = 1
#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class DINO final : public foil::Loss {
 public:
  struct Options {
    double student_temperature = 0.1;
    double teacher_temperature = 0.04;
    double warmup_teacher_temperature = 0.04;
    int64_t warmup_epochs = 0;
    double centre_momentum = 0.9;
    void describe(foil::Fields& f) {
      f.number("student_temperature", student_temperature, "divides z", foil::above(0));
      f.number("teacher_temperature", teacher_temperature, "divides the centred targets", foil::above(0));
      f.number("warmup_teacher_temperature", warmup_teacher_temperature,
               "the teacher's temperature at the start", foil::above(0));
      f.integer("warmup_epochs", warmup_epochs, "epochs until teacher_temperature is reached",
                foil::at_least(0));
      f.number("centre_momentum", centre_momentum, "share of the centre that stays in a step",
               foil::between(0, 1));
    }
  };
  explicit DINO(Options options) : options_(options) {}

  foil::Needs needs() const override {
    return {.max_views = foil::any_number, .raw_z = true, .target = true};
  }

  void setup(const foil::Sizes& sizes) override {
    centre_ = register_buffer("centre", torch::zeros({sizes.z_dim}));
  }

  Tensor forward(const LossInput& input) override {
    std::vector<Tensor> student;  // V x [B, D], log p
    for (const Tensor& z : input.z) student.push_back((z / options_.student_temperature).log_softmax(1));
    Tensor sum = torch::zeros({}, student[0].options());
    for (size_t v = 0; v < input.target.size(); ++v) {
      const Tensor teacher =
          ((input.target[v] - centre_) / teacher_temperature(input.epoch)).softmax(1);  // [B, D]
      for (size_t w = 0; w < student.size(); ++w) {
        if (w != v) sum = sum - input.mean((teacher * student[w]).sum(1));
      }
    }
    return sum / static_cast<double>(input.target.size() * (student.size() - 1));
  }

  void after_step(const LossInput& input) override {
    const Tensor total = input.sum_ranks(torch::cat(input.target).sum(0));  // [D]
    const double rows = static_cast<double>(input.target.size()) * static_cast<double>(input.global_batch());
    centre_.mul_(options_.centre_momentum).add_(total / rows, 1 - options_.centre_momentum);
  }

 private:
  double teacher_temperature(int64_t epoch) const {
    const double first = options_.warmup_teacher_temperature, last = options_.teacher_temperature;
    if (epoch >= options_.warmup_epochs) return last;
    const double past =
        static_cast<double>(epoch) / static_cast<double>(std::max<int64_t>(options_.warmup_epochs - 1, 1));
    return first + (last - first) * past;
  }

  Options options_;
  Tensor centre_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<DINO>("dino", {.samples = {"teacher_temperature = 0.07\nwarmup_epochs = 3"}});
}
