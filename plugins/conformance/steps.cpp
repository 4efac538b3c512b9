// SPDX-License-Identifier: BSD-3-Clause
// What one step of a loss must hold: its gradient, the order of samples, extremes, precision, micro batches,
// draws, devices.
#include "api/loss_tensors.h"
#include "graphs.h"
#include "held_detach.h"
#include "losses.h"
#include "mask_watch.h"
#include "outcomes.h"
#include "ranks/world.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <torch/autograd.h>
#include <torch/cuda.h>
#include <torch/utils.h>

namespace foil::conformance {
namespace {

// The tensors of a trial that have a gradient, moved by `change` (by the names of Outcome::gradients) while
// `value` is taken.
double value_at(Trial& trial, const Batch& batch, const Tensors& change, HeldDetach& held,
                HeldDetach::Mode mode) {
  Batch moved = batch;
  for (const NamedTensor& one : tensors_of(moved)) {
    const auto by = change.find(one.name);
    if (by != change.end()) *one.tensor = *one.tensor + by->second;
  }
  const Tensors start = trial.state();
  {
    torch::NoGradGuard no_grad;
    for (const auto& parameter : trial.loss().named_parameters()) {
      const auto by = change.find("parameter " + parameter.key());
      if (by != change.end()) parameter.value().add_(by->second);
    }
  }
  const HeldDetach::Scope scope(held, mode);
  const double value = trial.value(moved).item<double>();
  trial.load(start);
  return value;
}

// The fourth-order difference quotient of f at 0.
double quotient(const std::function<double(double)>& f) {
  constexpr double kStep = 1e-5;
  return (8 * (f(kStep) - f(-kStep)) - (f(2 * kStep) - f(-2 * kStep))) / (12 * kStep);
}

}  // namespace

// Along random directions through all tensors at once; where one is off, entry by entry, to name the worst.
void gradient_is_the_derivative(const Subject& subject, Item& item) {
  std::vector<OptionSet> sets = subject.sets.single;
  sets.insert(sets.end(), subject.sets.paired.begin(), subject.sets.paired.end());
  for (const OptionSet& set : sets) {
    Trial trial(subject.component, set);
    trial.step(trial.batch(0));
    const Batch batch = trial.batch(1);
    HeldDetach held;
    const double here = value_at(trial, batch, {}, held, HeldDetach::Mode::record);
    const Tensors gradients = trial.evaluate(batch).gradients;
    const double allowed = 1e-6 * std::max(largest(gradients), 1e-9) +
                           1e-10 * std::abs(here);  // the last is rounding over the step
    const auto along = [&](const Tensors& direction) {
      return quotient([&](double s) {
        Tensors change;
        for (const auto& [name, d] : direction) change[name] = s * d;
        return value_at(trial, batch, change, held, HeldDetach::Mode::replay);
      });
    };
    auto generator = at::make_generator<at::CPUGeneratorImpl>(7);
    bool holds = true;
    for (int i = 0; i < 2 && holds; ++i) {
      Tensors direction;
      double got = 0;
      for (const auto& [name, gradient] : gradients) {
        direction[name] = 2 * torch::rand(gradient.sizes(), generator, torch::kDouble) - 1;
        got += (gradient * direction[name]).sum().item<double>();
      }
      holds = std::abs(got - along(direction)) <= allowed;
      if (holds) item.expect(true, set.text, "");
    }
    for (const auto& [name, gradient] : gradients) {
      if (holds) break;
      Tensor quotients = torch::zeros_like(gradient);
      for (int64_t k = 0; k < gradient.numel(); ++k) {
        Tensor one = torch::zeros_like(gradient);
        one.view(-1)[k] = 1;
        quotients.view(-1)[k] = along({{name, one}});
      }
      item.expect_close(set.text, "against the difference quotient, the gradient of " + name, gradient,
                        quotients, allowed);
    }
  }
}

namespace {

// Whether a step draws: what it gives depends on the seed.
bool draws(const Subject& subject, const OptionSet& set) {
  Trial one(subject.component, set), other(subject.component, set);
  other.draw_by(6);
  Item same("");
  expect_equal_bits(same, "", one.step(one.batch(0)), other.step(other.batch(0)));
  return same.failed();
}

// The state of a loss on a graph with its nodes in another order: rows by node are put back.
Tensors with_rows_back(Tensors state, const Needs& needs, const Tensor& back) {
  for (auto& [name, tensor] : state)
    if (needs.graph && needs.index && tensor.dim() > 0 && tensor.size(0) == back.size(0))
      tensor = tensor.index_select(0, back);
  return state;
}

}  // namespace

// Of a graph all nodes are numbered anew, with their edges.
void order_of_samples_is_nothing(const Subject& subject, Item& item) {
  const Tensor order = torch::tensor({3, 0, 6, 2, 5, 1, 4}, torch::kLong), back = std::get<1>(order.sort());
  for (const OptionSet& set : subject.sets.single) {
    Trial straight(subject.component, set), permuted(subject.component, set);
    const Needs& needs = straight.needs();
    if (needs.graph && draws(subject, set)) {
      item.note(set.text + ": its draws go by the number of a node; nodes in another order have others");
      continue;
    }
    for (int64_t step = 0; step < 3; ++step) {
      const std::string where = fmt::format("{}, step {}, {} in the order {}", set.text, step,
                                            needs.graph ? "nodes" : "samples", "3 0 6 2 5 1 4");
      const Outcome want = straight.step(straight.batch(step));
      Outcome got = permuted.step(alone(needs, permuted.batch(step), order));
      for (auto& [name, gradient] : got.gradients) {
        if (is_of_samples(name)) gradient = gradient.index_select(0, back);
      }
      expect_close(item, where, got, want, 1e-9);
    }
    expect_close(item, set.text + ", after three steps", with_rows_back(permuted.state(), needs, back),
                 straight.state(), 1e-9);
  }
}

namespace {

// Batches in which an anchor has nothing to be compared with.
std::vector<std::pair<std::string, std::function<Batch(const Batch&)>>> lonely_batches(const Needs& needs) {
  std::vector<std::pair<std::string, std::function<Batch(const Batch&)>>> all = {
      {"one sample", [needs](const Batch& batch) { return alone(needs, batch, torch::arange(1)); }}};
  const auto each_view = [](const std::function<View(const View&)>& change) {
    return [change](Batch batch) {
      for (View& view : batch.views) view = change(view);
      return batch;
    };
  };
  if (needs.views) all.push_back({"no edges", each_view(without_edges)});
  if (needs.views)
    all.push_back({"nodes without features", each_view([](View view) {
                     view.data = torch::zeros_like(dense(view.data));
                     return view;
                   })});
  if (!needs.labels) return all;
  all.push_back(
      {"one class", [](Batch batch) { return batch.label = torch::zeros_like(batch.label), batch; }});
  all.push_back({"each sample a class of its own", [needs](Batch batch) {
                   batch = alone(needs, batch, torch::arange(kClasses));
                   return batch.label = torch::arange(kClasses), batch;
                 }});
  return all;
}

}  // namespace

void extremes_stay_finite(const Subject& subject, Item& item) {
  const auto of_length = [](double length) {
    return [length](const Tensor& t) { return t * (length / t.norm(2, -1, true)); };
  };
  const std::vector<std::pair<std::string, std::function<Tensor(const Tensor&)>>> changes = {
      {"random embeddings", [](const Tensor& t) { return t; }},
      {"identical embeddings", [](const Tensor& t) { return torch::ones_like(t); }},
      {"zero vectors", [](const Tensor& t) { return torch::zeros_like(t); }},
      {"one zero vector",
       [](const Tensor& t) {
         return torch::cat({torch::zeros_like(t.slice(0, 0, 1)), t.slice(0, 1)});
       }},
      {"opposite embeddings",
       [](const Tensor& t) {
         const Tensor sign = 1 - 2 * (torch::arange(t.size(0), t.options()) % 2);
         return torch::ones_like(t) * sign.unsqueeze(1);
       }},
      {"vectors of length 1e4", of_length(1e4)}};
  std::vector<OptionSet> sets = subject.sets.single;
  sets.insert(sets.end(), subject.sets.paired.begin(), subject.sets.paired.end());
  const auto check = [&](Trial& trial, const std::string& where, const Batch& batch) {
    const Outcome outcome = trial.step(batch);
    item.expect_finite(where, "the value", outcome.value);
    for (const auto& [name, gradient] : outcome.gradients)
      item.expect_finite(where, "the gradient of " + name, gradient);
    // A state may hold an infinity (the logarithm of an average of nothing), never a nan.
    for (const auto& [name, tensor] : trial.state())
      item.expect(!tensor.isnan().any().item<bool>(), where, "after the step " + name + " has a nan");
  };
  for (const OptionSet& set : sets) {
    for (const auto& [name, change] : changes) {
      Trial trial(subject.component, set, at::kFloat);
      check(trial, set.text + ", " + name, changed(trial.batch(1), change));
    }
  }
  const auto check_small = [&](const std::string& name, const std::function<Batch(const Batch&)>& change) {
    Trial trial(subject.component, subject.sets.plain, at::kFloat);
    const std::string where = "default, " + name;
    try {
      check(trial, where, change(trial.batch(0)));
    } catch (const Error& error) {
      item.note(where + " is refused: " + error.what());
    }
  };
  for (const auto& [name, change] : lonely_batches(Trial(subject.component, subject.sets.plain).needs()))
    check_small(name, change);
}

// A mask that is a large number is told by the operation that makes it, and by what it leaves where an anchor
// has nothing to be compared with: a value of its own size. Where similarities are divided by a thousandth
// (the end of a range), -100 hides nothing.
void masks_are_exact(const Subject& subject, Item& item) {
  constexpr double kTimes = 20, kLarge = 50;
  std::vector<OptionSet> sets = subject.sets.single;
  sets.insert(sets.end(), subject.sets.paired.begin(), subject.sets.paired.end());
  for (const OptionSet& set : sets) {
    Trial trial(subject.component, set);
    double ordinary = 0;
    {
      const MaskWatch watch(/*products=*/magnitude(set) < kLarge);  // else an option may be the number
      ordinary = std::abs(trial.value(trial.batch(1)).item<double>());
      item.expect(
          watch.found().empty(), set.text,
          watch.found() + ": what it hides still counts; foil::masked_logsumexp leaves it out exactly");
    }
    if (trial.needs().raw_z) continue;
    for (const auto& [name, change] : lonely_batches(trial.needs())) {
      try {
        const double value = trial.value(change(trial.batch(0))).item<double>();
        item.expect(
            std::abs(value) <= item.factor() * kTimes * (magnitude(set) + ordinary), set.text + ", " + name,
            fmt::format(
                "the value is {:.6g}, of a whole batch {:.6g}: a mask that is a number and not exact?", value,
                ordinary));
      } catch (const Error&) {  // refused: extremes notes it
      }
    }
  }
}

// fp32 and bf16 against fp64 on the same numbers. What is allowed is a multiple of what rounding of the
// inputs does to the result, which no formula can avoid, and a few units in the last place at the size of the
// options.
void precision_is_that_of_the_inputs(const Subject& subject, Item& item) {
  constexpr double kMultiple = 32, kHalf = 8e-3;
  for (const OptionSet& set : subject.sets.single) {
    const double floor = 2e-6 + 2e-7 * magnitude(set);
    for (const auto& [type, name] : {std::pair{at::kFloat, "fp32"}, {at::kBFloat16, "bf16"}}) {
      Trial exact(subject.component, set), narrow(subject.component, set, type);
      const Batch batch =
          changed(exact.batch(0), [type = type](const Tensor& t) { return t.to(type).to(at::kDouble); });
      const Outcome want = exact.evaluate(batch), got = narrow.evaluate(batch);
      double value_moves = 0;
      std::map<std::string, double> moves;
      for (uint64_t seed : {1, 2, 3}) {
        exact.round_inputs(seed);
        const Outcome moved = exact.evaluate(batch);
        value_moves = std::max(value_moves, largest(moved.value - want.value));
        for (const auto& [input, gradient] : want.gradients)
          moves[input] = std::max(moves[input], largest(moved.gradients.at(input) - gradient));
      }
      const double all = largest(want.gradients), stored = type == at::kBFloat16 ? kHalf : 0;
      const std::string where = set.text + ", " + name;
      item.expect_close(where, "the value", got.value, want.value,
                        kMultiple * value_moves + floor * std::max(1.0, largest(want.value)));
      for (const auto& [input, gradient] : want.gradients) {
        const double scale = std::max({largest(gradient), 1e-3 * all, 1e-9});
        item.expect_close(where, "the gradient of " + input, got.gradients.at(input), gradient,
                          kMultiple * moves[input] + (floor + stored) * scale);
      }
    }
  }
}

// The gradients of the embeddings, pushed through an encoder three uneven micro batches at a time, as the
// loop does where memory is short, against one backward pass through all of it.
void micro_batches_equal_the_whole(const Subject& subject, Item& item) {
  for (const OptionSet& set : subject.sets.single) {
    Trial trial(subject.component, set);
    const Batch batch = trial.batch(0);
    const Tensor first =
        torch::randn({kFeatures, kFeatures}, at::make_generator<at::CPUGeneratorImpl>(3), torch::kDouble);
    const Tensor second =
        torch::randn({kFeatures, kWidth}, at::make_generator<at::CPUGeneratorImpl>(4), torch::kDouble);
    const auto weights = [&] {
      return std::vector<Tensor>{first.clone().requires_grad_(), second.clone().requires_grad_()};
    };
    const auto encode = [](const Tensor& x, const std::vector<Tensor>& w) {  // -> h, z
      const Tensor h = torch::matmul(x, w[0]).tanh();
      return std::pair{h, torch::matmul(h, w[1])};
    };
    const auto embedded = [&](const std::vector<Tensor>& w) {
      Batch made = batch;
      for (size_t v = 0; v < batch.z.size(); ++v) {
        const auto [h, z] =
            encode(torch::cat({batch.z[v], batch.z[v].slice(1, 0, kFeatures - kWidth)}, 1), w);
        if (!made.h.empty()) made.h[v] = h;
        made.z[v] = z;
      }
      for (size_t v = 0; v < made.p.size(); ++v)
        made.p[v] = torch::matmul(made.z[v], w[1].t().slice(1, 0, kWidth));
      return made;
    };
    // Whole: the loss's own graph joined to the encoder's.
    const std::vector<Tensor> whole = weights();
    const Batch all = embedded(whole);
    const Tensor value = trial.loss()(trial.input(all, World::single()));
    std::vector<Tensor> want(2);
    if (value.requires_grad()) want = torch::autograd::grad({value}, whole, {}, {}, {}, true);
    // Parts: gradients of the embeddings first.
    Tensors gradients;
    {
      torch::NoGradGuard no_grad;
      const Batch made = embedded(whole);
      torch::AutoGradMode with_gradient(true);
      gradients = trial.evaluate(changed(made, [](const Tensor& t) { return t.detach(); })).gradients;
    }
    const std::vector<Tensor> parts = weights();
    for (const auto& [begin, count] : {std::pair<int64_t, int64_t>{0, 3}, {3, 1}, {4, 3}}) {
      std::vector<Tensor> outputs, seeds;
      const Batch some = embedded(parts);
      for (const auto& [name, output] : inputs_of(some)) {
        if (!output.requires_grad()) continue;  // what no encoder here makes
        outputs.push_back(output.slice(0, begin, begin + count));
        seeds.push_back(gradients.at(name).slice(0, begin, begin + count));
      }
      torch::autograd::backward(outputs, seeds);
    }
    for (size_t i = 0; i < 2; ++i) {
      const Tensor expected = want[i].defined() ? want[i] : torch::zeros_like(parts[i]);
      item.expect_close(set.text + ", micro batches of 3, 1, 3",
                        fmt::format("the gradient of encoder weight {}", i), parts[i].grad(), expected,
                        1e-9 * std::max(largest(expected), 1e-9));
    }
  }
}

void draws_are_keyed(const Subject& subject, Item& item) {
  const auto state = [] { return at::globalContext().defaultGenerator(at::kCPU).get_state(); };
  for (const OptionSet& set : subject.sets.single) {
    Trial once(subject.component, set), again(subject.component, set);
    torch::manual_seed(1);
    const Tensor before = state();
    const Outcome want = once.step(once.batch(0));
    item.expect(torch::equal(before, state()), set.text,
                "a step draws from LibTorch's global generator; draw from input.uniform or input.shared");
    torch::manual_seed(2);
    expect_equal_bits(item, set.text + ", the same step again", again.step(again.batch(0)), want);
  }
}

void cuda_equals_cpu(const Subject& subject, Item& item) {
  if (!torch::cuda::is_available()) return item.skip("there is no CUDA device");
  for (const OptionSet& set : subject.sets.single) {
    Trial cpu(subject.component, set), cuda(subject.component, set, at::kDouble, at::Device(at::kCUDA, 0));
    for (int64_t step = 0; step < 3; ++step) {
      expect_close(item, fmt::format("{}, CUDA, step {}", set.text, step), cuda.step(cpu.batch(step)),
                   cpu.step(cpu.batch(step)), 1e-8);
    }
    expect_close(item, set.text + ", CUDA, after three steps", cuda.state(), cpu.state(), 1e-8);
  }
}

}  // namespace foil::conformance
