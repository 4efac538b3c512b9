// SPDX-License-Identifier: BSD-3-Clause
// The items of an encoder, under each of its option sets and for each shape of data that it takes.
#include "checked_ranks.h"
#include "conformance.h"
#include "encoder_shapes.h"
#include "encoder_trial.h"
#include "graphs.h"
#include "model/tower.h"
#include "outcomes.h"
#include "ranks/world.h"
#include "run/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/cuda.h>
#include <torch/utils.h>

namespace foil::conformance {
namespace {

constexpr int64_t kSteps = 3;

// A trial's setting: an option set and data that the encoder takes under it.
struct Case {
  OptionSet set;
  DataShape data;
  std::string where() const { return set.text + ", " + data.text; }
  EncoderTrial trial(const Subject& subject, at::ScalarType type = at::kDouble,
                     at::Device device = at::kCPU) const {
    return {subject.component, set, data, type, device};
  }
};

// The first shape of images and those of other kinds under each option set; every shape with `all`.
std::vector<Case> cases(const Subject& subject, bool all = false) {
  std::vector<Case> found;
  for (const OptionSet& set : subject.sets.single) {
    std::vector<std::string> refused;
    bool images = false;
    for (const DataShape& data : accepted_shapes(subject.component, set, refused)) {
      const bool image = data.shape.kind == Kind::image;
      if (all || !image || !images) found.push_back({set, data});
      images = images || image;
    }
  }
  return found;
}

// Within `relative` of each tensor's largest entry; small ones beside large ones are held to the rounding of
// the large ones.
void expect_near(Item& item, const std::string& where, const Tensors& got, const Tensors& want,
                 double relative) {
  const double all = largest(want);
  for (const auto& [name, tensor] : want)
    item.expect_close(where, name, got.at(name), tensor,
                      relative * std::max({largest(tensor), 1e-3 * all, 1e-6}));
}

// ---- What goes in and comes out

void parts_are_of_all_ranks(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    EncoderTrial trial = one.trial(subject);
    const auto said = refusal([&] { share_ranks(trial.encoder(), World::single()); });
    item.expect(!said, one.where(), said ? said->text : "");
  }
}

void input_is_left_alone(const Subject& subject, Item& item) {
  torch::NoGradGuard no_grad;
  for (const Case& one : cases(subject)) {
    for (const bool training : {true, false}) {
      EncoderTrial trial = one.trial(subject);
      trial.encoder().train(training);
      View view = trial.view(0);
      const Tensor data = view.data.clone(), key = view.key.clone(),
                   ends = view.edges.ends.defined() ? view.edges.ends.clone() : Tensor();
      if (!training) view = without_key(view);
      trial.features(view);
      const std::string where = one.where() + (training ? ", training" : ", evaluation");
      item.expect_equal_bits(where, "after forward the view", dense(view.data), dense(data));
      if (ends.defined()) item.expect_equal_bits(where, "after forward the edges", view.edges.ends, ends);
      if (training) item.expect_equal_bits(where, "after forward the key", view.key, key);
    }
  }
}

// ---- What may matter

using Shards = std::vector<std::vector<int64_t>>;  // how many of the seven samples each rank has at each step
const std::vector<Shards> kShards = {{{4, 3}, {0, 7}, {6, 1}}, {{3, 2, 2}, {5, 0, 2}, {0, 1, 6}}};

// One rank takes each step from where the many stood before it: what a step makes of rounding is no
// difference of the next.
void ranks_equal_one(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    for (const Shards& shards : kShards) {
      const size_t size = shards[0].size();
      const std::string where = fmt::format("{}, {} ranks", one.where(), size);
      std::vector<EncoderTrial> trials;
      for (size_t r = 0; r < size; ++r) trials.push_back(one.trial(subject));
      std::vector<std::vector<Tensors>> results(kSteps, std::vector<Tensors>(size));
      std::vector<Tensors> stood(kSteps + 1);  // rank 0's state before each step, and after the last
      const std::string error = checked_ranks(
          static_cast<int>(size), [&](const std::shared_ptr<Ranks>& ranks, const auto& step_ends) {
            const size_t rank = static_cast<size_t>(ranks->rank());
            for (int64_t step = 0; step < kSteps; ++step) {
              const std::vector<int64_t>& counts = shards[static_cast<size_t>(step)];
              int64_t before = 0;
              for (size_t r = 0; r < rank; ++r) before += counts[r];
              if (rank == 0) stood[static_cast<size_t>(step)] = trials[0].state();
              Tensors got = trials[rank].step(trials[rank].view(step), before, counts[rank], ranks);
              if (rank > 0)
                std::erase_if(
                    got, [](const auto& t) { return t.first != "the features"; });  // gradients are averages
              results[static_cast<size_t>(step)][rank] = std::move(got);
              step_ends();
            }
          });
      if (!error.empty()) {
        item.fail(where, error);
        continue;
      }
      stood.back() = trials[0].state();
      EncoderTrial alone = one.trial(subject);
      for (int64_t step = 0; step < kSteps; ++step) {
        alone.load(stood[static_cast<size_t>(step)]);
        const std::vector<Tensors>& parts = results[static_cast<size_t>(step)];
        Tensors got = parts[0];
        std::vector<Tensor> features;
        for (const Tensors& part : parts) features.push_back(part.at("the features"));
        got["the features"] = torch::cat(features);
        expect_near(item,
                    fmt::format("{} with {} samples, step {}", where,
                                fmt::join(shards[static_cast<size_t>(step)], ", "), step),
                    got, alone.step(alone.view(step)), 1e-9);
        expect_near(item, fmt::format("{}, the state after step {}", where, step),
                    stood[static_cast<size_t>(step) + 1], alone.state(), 1e-9);
      }
      for (size_t r = 1; r < size; ++r)
        expect_equal_bits(item, fmt::format("{}, the state of rank {} against rank 0", where, r),
                          trials[r].state(), stood.back());
    }
  }
}

void order_of_samples_is_nothing(const Subject& subject, Item& item) {
  const Tensor order = torch::tensor({3, 0, 6, 2, 5, 1, 4}, torch::kLong), back = std::get<1>(order.sort());
  for (const Case& one : cases(subject)) {
    EncoderTrial straight = one.trial(subject), permuted = one.trial(subject);
    const auto back_in_order = [&](Tensors got) {
      got["the features"] = got["the features"].index_select(0, back);
      return got;
    };
    // The loss weighs each sample, wherever it is: one backward would do so by position, so each step is
    // compared forward.
    for (int64_t step = 0; step < kSteps; ++step) {
      torch::NoGradGuard no_grad;
      const std::string where =
          fmt::format("{}, step {}, samples in the order 3 0 6 2 5 1 4", one.where(), step);
      straight.encoder().train();
      permuted.encoder().train();
      const Tensors want{{"the features", straight.features(straight.view(step))}};
      expect_near(item, where,
                  back_in_order({{"the features", permuted.features(rows(permuted.view(step), order))}}),
                  want, 1e-9);
    }
    expect_near(item, one.where() + ", the state after three steps in another order", permuted.state(),
                straight.state(), 1e-9);
    // In evaluation a sample's features do not depend on the others; a node's do.
    if (straight.of_graphs()) continue;
    torch::NoGradGuard no_grad;
    straight.encoder().eval();
    const View view = without_key(straight.view(0));
    const Tensor whole = straight.features(view);
    for (const int64_t b : {int64_t{0}, int64_t{4}})
      expect_near(item, one.where() + ", a sample alone in evaluation",
                  {{"the features", straight.features(rows(view, b, 1))}},
                  {{"the features", whole.slice(0, b, b + 1)}}, 1e-9);
  }
}

void draws_are_keyed(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    EncoderTrial once = one.trial(subject), again = one.trial(subject);
    torch::manual_seed(1);
    const GlobalDraws draws;
    const Tensors want = once.step(once.view(0));
    item.expect(
        !draws.any(), one.where(),
        "training draws from LibTorch's global generator (torch::dropout does); draw by foil::dropout and "
        "foil::stochastic_depth, keyed by view.key");
    torch::manual_seed(2);
    expect_equal_bits(item, one.where() + ", the same step again", again.step(again.view(0)), want);
  }
}

void evaluation_changes_nothing(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    EncoderTrial trial = one.trial(subject);
    trial.step(trial.view(0));
    const Tensors before = trial.state();
    trial.encoder().eval();
    torch::NoGradGuard no_grad;
    const View view = without_key(trial.view(1));
    const GlobalDraws draws;
    const Tensor first = trial.features(view);
    item.expect(!draws.any(), one.where(), "evaluation draws from LibTorch's global generator");
    trial.features(without_key(trial.view(2)));
    item.expect_equal_bits(one.where() + ", the same samples evaluated again", "the features",
                           trial.features(view), first);
    expect_equal_bits(item, one.where() + ", after evaluation", trial.state(), before);
  }
}

// ---- State

void resume_is_exact(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    EncoderTrial straight = one.trial(subject), resumed = one.trial(subject);
    straight.step(straight.view(0));
    resumed.load(parse_tensors(serialize_tensors(straight.state()), "checkpoint").tensors);
    for (int64_t step = 1; step < kSteps; ++step)
      expect_equal_bits(item, fmt::format("{}, resumed at step 1, step {}", one.where(), step),
                        resumed.step(resumed.view(step)), straight.step(straight.view(step)));
    expect_equal_bits(item, one.where() + ", resumed at step 1, the state after step 2", resumed.state(),
                      straight.state());
  }
}

void state_is_registered(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    EncoderTrial trial = one.trial(subject);
    const Tensors start = trial.state();
    std::vector<Tensors> first;
    const auto steps_and_evaluation = [&](const auto& use) {
      for (int64_t step = 0; step < 2; ++step) use(step, trial.step(trial.view(step)));
      trial.encoder().eval();
      torch::NoGradGuard no_grad;
      use(2, Tensors{{"the features", trial.features(without_key(trial.view(2)))}});
    };
    steps_and_evaluation([&](int64_t, const Tensors& result) { first.push_back(result); });
    trial.load(start);
    steps_and_evaluation([&](int64_t step, const Tensors& result) {
      expect_equal_bits(
          item,
          fmt::format("{}, set back to its start, {}", one.where(), step < 2 ? "training" : "evaluation"),
          result, first[static_cast<size_t>(step)]);
    });
  }
}

// ---- Numbers

// Of equal samples the gradient is taken in fp64: each batch norm multiplies it by 1 / sqrt(epsilon), about
// 300, and after some fifteen in a row fp32 holds it no more, however right the encoder is. What is 0/0 shows
// in any type.
void extremes_stay_finite(const Subject& subject, Item& item) {
  struct Change {
    std::string name;
    std::function<Tensor(const Tensor&)> apply;
    bool equal = false;    // samples
    bool numbers = false;  // are what it changes: tokens are none
  };
  const std::vector<Change> changes = {
      {"random samples", [](const Tensor& t) { return t; }},
      {"black", [](const Tensor& t) { return torch::zeros_like(t); }, true},
      {"white", [](const Tensor& t) { return torch::ones_like(t); }, true},
      {"samples that are all the same",
       [](const Tensor& t) { return t.slice(0, 0, 1).expand_as(t).contiguous(); }, true},
      {"normalised samples", [](const Tensor& t) { return (t - 0.5) / 0.25; }, false, true}};
  for (const Case& one : cases(subject)) {
    if (one.data.sparse) continue;  // the same numbers in another layout
    for (const auto& [name, change, equal, numbers] : changes) {
      if (numbers && one.data.shape.kind == Kind::text) continue;
      const std::string where = one.where() + ", " + name;
      const auto expect_finite_step = [&](at::ScalarType type, const std::string& of, bool gradients) {
        EncoderTrial trial = one.trial(subject, type);
        View view = trial.view(0);
        view.data = change(view.data);
        for (const auto& [what, tensor] : trial.step(view))
          if (gradients || what == "the features") item.expect_finite(where + of, what, tensor);
        return view;
      };
      if (equal) expect_finite_step(at::kDouble, ", fp64", /*gradients=*/true);
      const View view = expect_finite_step(at::kFloat, ", fp32", /*gradients=*/!equal);
      EncoderTrial narrow = one.trial(subject, at::kFloat);
      HeadOptions none;
      none.kind = HeadOptions::Kind::none;
      Tower tower(narrow.shared(), none, {});
      tower.train();
      const Tensor h = tower.forward({view}, /*bf16_autocast=*/true).h[0];
      item.expect_finite(where + ", bf16", "the features", h);
      if (equal) continue;
      h.square().sum().backward();
      for (const auto& parameter : narrow.encoder().named_parameters()) {
        if (parameter.value().grad().defined())
          item.expect_finite(where + ", bf16", "the gradient of " + parameter.key(),
                             parameter.value().grad());
      }
    }
  }
}

void cuda_equals_cpu(const Subject& subject, Item& item) {
  if (!torch::cuda::is_available()) return item.skip("there is no CUDA device");
  for (const Case& one : cases(subject)) {
    EncoderTrial cpu = one.trial(subject), cuda = one.trial(subject, at::kDouble, at::Device(at::kCUDA, 0));
    for (int64_t step = 0; step < kSteps; ++step)
      expect_near(item, fmt::format("{}, CUDA, step {}", one.where(), step), cuda.step(cuda.view(step)),
                  cpu.step(cpu.view(step)), 1e-8);
  }
}

}  // namespace

std::vector<Check> encoder_checks() {
  return {{"batch_norm", parts_are_of_all_ranks, /*decides=*/true},
          {"shapes", encoder_shapes_are_as_said, /*decides=*/true},
          {"input", input_is_left_alone},
          {"draws", draws_are_keyed, /*decides=*/true},
          {"ranks", ranks_equal_one},
          {"permutation", order_of_samples_is_nothing},
          {"evaluation", evaluation_changes_nothing},
          {"resume", resume_is_exact},
          {"registered", state_is_registered},
          {"extremes", extremes_stay_finite},
          {"cuda", cuda_equals_cpu}};
}

}  // namespace foil::conformance
