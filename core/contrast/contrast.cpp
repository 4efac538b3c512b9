// SPDX-License-Identifier: BSD-3-Clause
// The passes as functions that autograd differentiates. A function keeps the caller's tensors, so that
// autograd notices when one was changed, and the results of its channels: O(N + M).
#include "contrast/passes.h"
#include "contrast/plain.h"
#include "contrast/power2.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/types.h>

#include <algorithm>

namespace foil::contrast {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A call, from its forward to its backward pass.
struct Call : torch::CustomClassHolder {
  const char* name = "";
  Problem problem;
  Plan plan;
  Wanted wanted;
  States states;
  Tensor matrix;    // where the plan keeps it
  Tensor positive;  // fp64 [N]; of mean_lse
  Gradients made;   // those of equal weights, where the plan has panels
};

// The tensors that gradients flow to, in the order of the functions' arguments; autograd takes no undefined
// one.
using Maybe = std::optional<Tensor>;
Maybe maybe(const Tensor& x) { return x.defined() ? Maybe(x) : Maybe(); }
std::array<Maybe, 7> differentiable(const Pairs& pairs) {
  return {maybe(pairs.row.data),     maybe(pairs.column.data), maybe(pairs.scale.tensor),
          maybe(pairs.row.scale),    maybe(pairs.row.offset),  maybe(pairs.column.scale),
          maybe(pairs.column.offset)};
}

Wanted wanted_of(const Pairs& pairs) {
  const auto wants = [](const Tensor& x) {
    return at::GradMode::is_enabled() && x.defined() && x.requires_grad();
  };
  return {.x = wants(pairs.row.data),
          .y = wants(pairs.column.data),
          .scale = wants(pairs.scale.tensor),
          .row_scale = wants(pairs.row.scale),
          .row_offset = wants(pairs.row.offset),
          .column_scale = wants(pairs.column.scale),
          .column_offset = wants(pairs.column.offset)};
}

// What the passes make. Where the columns are the rows but the tiles are not mirrored, they make the
// gradients of both sides.
Wanted made_for(const Wanted& wanted, const Problem& problem, const Plan& plan) {
  Wanted made = wanted;
  if (problem.symmetric && !plan.triangle) {
    made.y = wanted.x;
    made.column_scale = wanted.row_scale;
    made.column_offset = wanted.row_offset;
  }
  return made;
}

void add_sides(const Problem& problem, const Plan& plan, Gradients& made) {
  if (!problem.symmetric || plan.triangle) return;
  const auto join = [](Tensor& to, Tensor& from) {
    if (from.defined()) to.add_(from);
    from = Tensor();
  };
  join(made.x, made.y);
  join(made.row_scale, made.column_scale);
  join(made.row_offset, made.column_offset);
}

// The results of channel k: [N] or [N, G], or [M].
Tensor result_of(const Problem& p, size_t k, const std::vector<State>& states) {
  const Channel& channel = p.channels[k];
  const int64_t ranges = channel.per == Per::row ? p.ranges() : 1;
  const Tensor all = at::empty({static_cast<int64_t>(states.size())}, at::TensorOptions(at::kDouble));
  for (size_t i = 0; i < states.size(); ++i) {
    const State& s = states[i];
    all.data_ptr<double>()[i] = channel.kind == Channel::Kind::sum   ? s.sum
                                : channel.kind == Channel::Kind::max ? s.base * kLn2
                                : s.sum == 0 ? -std::numeric_limits<double>::infinity()
                                             : (s.base + std::log2(s.sum)) * kLn2;
  }
  return all.view({ranges, -1}).t().contiguous().to(p.type);
}

// As the states of its channel: fp64 [G N] by range, or [M].
Tensor upstream_of(const Tensor& gradient) {
  const Tensor wide = gradient.variable_data().to(at::kDouble);
  return (wide.dim() == 2 ? wide.t().contiguous() : wide.contiguous()).view({-1});
}

Tensor as(const Tensor& gradient, const Tensor& like) {
  return gradient.defined() ? gradient.to(like.scalar_type()) : Tensor();
}

variable_list in_types_of(const variable_list& inputs, const Gradients& g) {
  return {as(g.x, inputs[0]),
          as(g.y, inputs[1]),
          as(g.scale, inputs[2]),
          as(g.row_scale, inputs[3]),
          as(g.row_offset, inputs[4]),
          as(g.column_scale, inputs[5]),
          as(g.column_offset, inputs[6])};
}

void save(AutogradContext* context, std::initializer_list<Maybe> inputs) {
  variable_list all;
  for (const Maybe& input : inputs) all.push_back(input.value_or(Tensor()));
  context->save_for_backward(all);
}

using Held = c10::intrusive_ptr<Call>;

Held held(const AutogradContext* context) {
  return c10::static_intrusive_pointer_cast<Call>(
      const_cast<AutogradContext*>(context)->saved_data["call"].toCapsule());
}

void refuse_second_derivative(const Call& call) {
  if (at::GradMode::is_enabled())
    fail(Exit::failure, call.name, ": a second derivative is asked for, allowed: the first.");
}

Gradients backward_of(const Call& call, const std::vector<Tensor>& upstream) {
  Gradients made = gradients(call.problem, call.plan, call.states, upstream,
                             made_for(call.wanted, call.problem, call.plan), call.matrix);
  add_sides(call.problem, call.plan, made);
  return made;
}

struct Reduce : torch::autograd::Function<Reduce> {
  static variable_list forward(AutogradContext* context, const Held& call, const Maybe& x, const Maybe& y,
                               const Maybe& scale, const Maybe& row_scale, const Maybe& row_offset,
                               const Maybe& column_scale, const Maybe& column_offset) {
    save(context, {x, y, scale, row_scale, row_offset, column_scale, column_offset});
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    call->matrix = room_for_matrix(call->problem, call->plan);
    call->states = statistics(call->problem, call->plan, call->matrix);
    variable_list results, constant;
    for (size_t k = 0; k < call->states.size(); ++k) {
      const Tensor result = result_of(call->problem, k, call->states[k]);
      results.push_back(result.size(1) == 1 && call->problem.ranges() == 1 ? result.squeeze(1) : result);
      if (call->problem.channels[k].per == Per::column) results.back() = result.squeeze(1);
      if (call->problem.channels[k].kind == Channel::Kind::max) constant.push_back(results.back());
    }
    context->mark_non_differentiable(constant);
    return results;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradient) {
    const Held call = held(context);
    refuse_second_derivative(*call);
    const variable_list inputs = context->get_saved_variables();
    std::vector<Tensor> upstream;
    for (const Tensor& one : gradient) upstream.push_back(upstream_of(one));
    variable_list all{Tensor()};  // of the call
    for (const Tensor& one : in_types_of(inputs, backward_of(*call, upstream))) all.push_back(one);
    return all;
  }
};

// softplus(LSE - positive), or the LSE, or the sum.
Tensor average_of(const Call& call) {
  const Tensor result = result_of(call.problem, 0, call.states[0]).squeeze(1);
  if (!call.positive.defined()) return result;
  // In fp64: the LSE and the positive may be large and near to each other.
  Problem wide = call.problem;
  wide.type = at::kDouble;
  const Tensor above = result_of(wide, 0, call.states[0]).squeeze(1) - call.positive;
  return (above.clamp_min(0) + above.abs().neg().exp().log1p()).to(call.problem.type);
}

// The derivative of softplus(LSE - positive) by the LSE: fp64 [N]; 0 where there are no pairs.
Tensor share_of_others(const Call& call) {
  Problem wide = call.problem;
  wide.type = at::kDouble;
  return (result_of(wide, 0, call.states[0]).squeeze(1) - call.positive).sigmoid();
}

// The weight that all rows have which have a gradient, where it is one.
std::optional<double> equal_weight(const Call& call, const Tensor& weights) {
  const double* const w = weights.const_data_ptr<double>();
  std::optional<double> equal;
  for (int64_t i = 0; i < weights.numel(); ++i) {
    const bool empty = call.problem.channels[0].kind == Channel::Kind::lse &&
                       call.states[0][static_cast<size_t>(i)].sum == 0;
    if (empty) continue;
    if (equal && *equal != w[i]) return {};
    equal = w[i];
  }
  return equal ? equal : 0.0;
}

// In place where no other backward pass can ask for them.
Gradients times(Gradients& made, double weight) {
  const bool again = torch::autograd::get_current_graph_task_keep_graph();
  Gradients all;
  for (const auto part : {&Gradients::x, &Gradients::y, &Gradients::scale, &Gradients::row_scale,
                          &Gradients::row_offset, &Gradients::column_scale, &Gradients::column_offset}) {
    if (!(made.*part).defined()) continue;
    all.*part = again ? made.*part * weight : (made.*part).mul_(weight);
    if (!again) made.*part = Tensor();
  }
  return all;
}

struct Average : torch::autograd::Function<Average> {
  static Tensor forward(AutogradContext* context, const Held& call, const Maybe& x, const Maybe& y,
                        const Maybe& scale, const Maybe& row_scale, const Maybe& row_offset,
                        const Maybe& column_scale, const Maybe& column_offset, const Maybe& positive) {
    save(context, {x, y, scale, row_scale, row_offset, column_scale, column_offset, positive});
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    if (call->plan.panel) {
      Averaged both = averaged(call->problem, call->plan, call->positive,
                               made_for(call->wanted, call->problem, call->plan));
      call->states = std::move(both.states);
      call->made = std::move(both.gradients);
      add_sides(call->problem, call->plan, call->made);
    } else {
      call->matrix = room_for_matrix(call->problem, call->plan);
      call->states = statistics(call->problem, call->plan, call->matrix);
    }
    return average_of(*call);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradient) {
    const Held call = held(context);
    refuse_second_derivative(*call);
    const variable_list inputs = context->get_saved_variables();
    const Tensor weights = upstream_of(gradient[0]);
    const std::optional<double> equal = call->plan.panel ? equal_weight(*call, weights) : std::nullopt;
    const Tensor share = call->positive.defined() ? share_of_others(*call) : Tensor();
    Gradients made;
    if (equal) {
      made = times(call->made, *equal);
    } else {
      if (call->plan.panel) call->plan = plan_of(call->problem, false, false);
      made = backward_of(*call, {share.defined() ? weights * share : weights});
    }
    variable_list all{Tensor()};  // of the call
    for (const Tensor& one : in_types_of(inputs, made)) all.push_back(one);
    all.push_back(share.defined() ? (weights * share).neg().to(inputs[7].scalar_type()) : Tensor());
    return all;
  }
};

Held call_of(const char* name, const Pairs& pairs, const std::vector<Channel>& channels) {
  const at::NoGradGuard no_gradient;
  Held call = c10::make_intrusive<Call>();
  call->name = name;
  call->problem = checked(name, pairs, channels);
  return call;
}

// Whether the call is for tiles, not for blocks of rows by LibTorch's operators.
bool tiled(const Call& call) { return call.problem.x.is_cpu() && !tiling().plain; }

Tensor average(const char* name, const Pairs& pairs, const Tensor& positive, const Channel& channel) {
  const Held call = call_of(name, pairs, {channel});
  if (call->problem.ranges() > 1)
    fail(Exit::failure, name, ": segments has ", pairs.segments.size(), " sizes, allowed: at most one.");
  if (positive.defined()) {
    if (positive.dim() != 1 || positive.size(0) != call->problem.rows ||
        !at::isFloatingType(positive.scalar_type()))
      fail(Exit::failure, name, ": positive is ", positive.sizes(), " of type ", positive.scalar_type(),
           ", allowed: [", call->problem.rows, "] of a floating type.");
    if (positive.device() != pairs.row.data.device())
      fail(Exit::failure, name, ": positive is on ", positive.device(),
           ", allowed: ", pairs.row.data.device(), ", as row.data.");
    call->positive = positive.variable_data().to(at::kDouble).contiguous();
  }
  if (!tiled(*call)) {
    const Tensor result = reduce_plainly(name, pairs, {channel})[0];
    return positive.defined() ? foil::softplus(result - positive.to(result.scalar_type())) : result;
  }
  call->wanted = wanted_of(pairs);
  // Column offsets get their gradients from the backward pass alone.
  const bool panels = !call->wanted.column_offset && !(call->problem.symmetric && call->wanted.row_offset);
  call->plan = plan_of(call->problem, panels, call->wanted.any());
  const std::array<Maybe, 7> x = differentiable(pairs);
  return Average::apply(call, x[0], x[1], x[2], x[3], x[4], x[5], x[6], maybe(positive));
}

}  // namespace

std::vector<Tensor> reduce(const Pairs& pairs, const std::vector<Channel>& channels) {
  const Held call = call_of("contrast::reduce", pairs, channels);
  if (!tiled(*call)) return reduce_plainly(call->name, pairs, channels);
  call->wanted = wanted_of(pairs);
  call->plan = plan_of(call->problem, false, call->wanted.any());
  const std::array<Maybe, 7> x = differentiable(pairs);
  return Reduce::apply(call, x[0], x[1], x[2], x[3], x[4], x[5], x[6]);
}

Tensor mean_lse(const Pairs& pairs, const Tensor& positive, Which which) {
  return average("contrast::mean_lse", pairs, positive, lse(Per::row, which));
}

Tensor mean_sum(const Pairs& pairs, Phi phi, Which which) {
  return average("contrast::mean_sum", pairs, {}, sum(phi, Per::row, which));
}

}  // namespace foil::contrast
