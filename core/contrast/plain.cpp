// SPDX-License-Identifier: BSD-3-Clause
// A block of rows in plain tensors, as the formulas read; autograd differentiates one block at a time.
#include "contrast/plain.h"

#include "api/no_autocast.h"
#include "api/wide.h"
#include "contrast/plan.h"
#include "contrast/problem.h"

#include <torch/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

namespace foil::contrast {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kNumbers = int64_t{1} << 24;  // of a block's matrix
constexpr double kNone = -std::numeric_limits<double>::infinity();

Tensor times(const Tensor& z, const Tensor& factor) {
  return factor.defined() ? z * factor.to(z.scalar_type()) : z;
}
Tensor plus(const Tensor& z, const Tensor& offset) {
  return offset.defined() ? z + offset.to(z.scalar_type()) : z;
}
Tensor upright(const Tensor& x) { return x.defined() ? x.unsqueeze(1) : x; }

// What every channel reads of some rows: z [b, M], which pairs there are, which of them are alike.
struct Matrix {
  Tensor z, there, alike;
};

Matrix matrix_of(const Pairs& pairs) {
  const Side &row = pairs.row, &column = pairs.column;
  Matrix all;
  all.z = torch::matmul(at_least_fp32(row.data), at_least_fp32(column.data).t());
  all.z = pairs.scale.tensor.defined() ? times(all.z, pairs.scale.tensor) : all.z * pairs.scale.value;
  all.z = times(times(all.z, upright(row.scale)), column.scale);
  all.z = plus(plus(all.z, upright(row.offset)), column.offset);
  all.there = row.id.defined() ? row.id.unsqueeze(1) != column.id : torch::ones_like(all.z, torch::kBool);
  if (pairs.left_out.defined())
    all.there.index_put_({pairs.left_out[0], pairs.left_out[1]}, torch::zeros({}, all.there.options()));
  if (row.label.defined()) all.alike = same_class(row.label, column.label);
  return all;
}

Tensor phi_of(Phi phi, const Tensor& z) {
  switch (phi) {
    case Phi::identity:
      return z;
    case Phi::exp:
      return z.exp();
    case Phi::softplus:
      return foil::softplus(z);
    case Phi::sigmoid:
      return z.sigmoid();
    case Phi::hinge:
      return z.clamp_min(0);
    case Phi::squared_hinge:
      return z.clamp_min(0).square();
  }
  return {};
}

// Over the second axis: [N] from [N, M].
Tensor reduced(const Channel& channel, const Tensor& z, const Tensor& counts) {
  const Tensor zero = torch::zeros({}, z.options()), none = torch::full({}, kNone, z.options());
  if (z.size(1) == 0) return (channel.kind == Channel::Kind::sum ? zero : none).expand({z.size(0)});
  switch (channel.kind) {
    case Channel::Kind::lse:
      return masked_logsumexp(z, counts);
    case Channel::Kind::sum:
      return torch::where(counts, phi_of(channel.phi, torch::where(counts, z, zero)), zero).sum(1);
    case Channel::Kind::max:
      break;
  }
  const Tensor lowest = none.expand({z.size(0), 1});
  return torch::cat({lowest, torch::where(counts, z, none)}, 1).amax(1).variable_data();
}

// Of some rows: [b] or [b, ranges] of a channel per row, of one per column what these rows add: [M].
Tensor part_of(const Channel& channel, const Matrix& all, const std::vector<int64_t>& segments) {
  Tensor counts = all.there;
  if (channel.which != Which::all)
    counts = counts.logical_and(channel.which == Which::alike ? all.alike : all.alike.logical_not());
  const Tensor z = channel.slope == 1 ? all.z : all.z * channel.slope;
  if (channel.per == Per::column) return reduced(channel, z.t(), counts.t());
  if (segments.size() < 2) return reduced(channel, z, counts);
  const std::vector<Tensor> parts = z.split_with_sizes(segments, 1),
                            of = counts.split_with_sizes(segments, 1);
  std::vector<Tensor> results;
  for (size_t i = 0; i < parts.size(); ++i) results.push_back(reduced(channel, parts[i], of[i]));
  return torch::stack(results, 1);
}

Tensor rows_of(const Tensor& x, int64_t first, int64_t last) {
  return x.defined() ? x.slice(0, first, last) : x;
}

struct Call : torch::CustomClassHolder {
  const char* name = "";
  Pairs pairs;  // without a graph; columns apart from the rows
  std::vector<Channel> channels;
  int64_t rows() const { return pairs.row.data.size(0); }
  int64_t columns() const { return pairs.column.data.size(0); }

  template <class Act>
  void each_block(const Act& act) const {
    const Tiling wish = tiling();
    const int64_t height =
        wish.rows > 0 ? wish.rows : std::max<int64_t>(64, kNumbers / std::max<int64_t>(1, columns()));
    for (int64_t first = 0; first == 0 || first < rows(); first += height)
      act(first, std::min(first + height, rows()));
  }
  // The pairs of some rows.
  Pairs block(int64_t first, int64_t last) const {
    Pairs some = pairs;
    for (Tensor Side::*member : {&Side::data, &Side::id, &Side::label, &Side::scale, &Side::offset})
      some.row.*member = rows_of(pairs.row.*member, first, last);
    if (pairs.left_out.defined()) {
      const Tensor here = pairs.left_out[0].ge(first).logical_and(pairs.left_out[0].lt(last));
      some.left_out = pairs.left_out.index({torch::indexing::Slice(), here}).clone();
      some.left_out[0].sub_(first);
    }
    return some;
  }
};
using Held = c10::intrusive_ptr<Call>;

// What several blocks of rows make of a column.
Tensor joined(Channel::Kind kind, const Tensor& a, const Tensor& b) {
  return kind == Channel::Kind::lse   ? torch::logaddexp(a, b)
         : kind == Channel::Kind::sum ? a + b
                                      : torch::maximum(a, b);
}

// The tensors that gradients flow to, in the order of the function's arguments.
std::array<Tensor*, 7> differentiable(Pairs& pairs) {
  return {&pairs.row.data,     &pairs.row.scale,     &pairs.row.offset,  &pairs.column.data,
          &pairs.column.scale, &pairs.column.offset, &pairs.scale.tensor};
}
constexpr size_t kOfRows = 3;  // of them belong to rows

struct Plainly : torch::autograd::Function<Plainly> {
  using Maybe = std::optional<Tensor>;
  static variable_list forward(AutogradContext* context, const Held& call, const Maybe& a, const Maybe& b,
                               const Maybe& c, const Maybe& d, const Maybe& e, const Maybe& f,
                               const Maybe& g) {
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    const NoAutocast no_autocast;
    const at::ScalarType type = at_least_fp32(call->pairs.row.data).scalar_type();
    std::vector<variable_list> of_rows(call->channels.size());
    variable_list results(call->channels.size()), constant;
    call->each_block([&](int64_t first, int64_t last) {
      const Matrix matrix = matrix_of(call->block(first, last));
      for (size_t k = 0; k < results.size(); ++k) {
        const Tensor part = part_of(call->channels[k], matrix, call->pairs.segments);
        if (call->channels[k].per == Per::row) {
          of_rows[k].push_back(part);
        } else {
          const Tensor wide = part.to(torch::kDouble);
          results[k] = results[k].defined() ? joined(call->channels[k].kind, results[k], wide) : wide;
        }
      }
    });
    for (size_t k = 0; k < results.size(); ++k) {
      results[k] = (call->channels[k].per == Per::row ? torch::cat(of_rows[k]) : results[k]).to(type);
      if (call->channels[k].kind == Channel::Kind::max) constant.push_back(results[k]);
    }
    variable_list saved;
    for (const Maybe& input : {a, b, c, d, e, f, g}) saved.push_back(input.value_or(Tensor()));
    saved.insert(saved.end(), results.begin(), results.end());
    context->save_for_backward(saved);
    context->mark_non_differentiable(constant);
    return results;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradient) {
    const Held call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    if (at::GradMode::is_enabled())
      fail(Exit::failure, call->name, ": a second derivative is asked for, allowed: the first.");
    const variable_list saved = context->get_saved_variables();
    variable_list by(7);
    call->each_block(
        [&](int64_t first, int64_t last) { add_block(*call, first, last, saved, gradient, by); });
    variable_list all{Tensor()};  // of the call
    for (size_t i = 0; i < 7; ++i) all.push_back(by[i].defined() ? by[i].to(saved[i].scalar_type()) : by[i]);
    return all;
  }

 private:
  // Adds to `by` what a block of rows says.
  static void add_block(const Call& call, int64_t first, int64_t last, const variable_list& saved,
                        const variable_list& gradient, variable_list& by) {
    Pairs pairs = call.block(first, last);
    const std::array<Tensor*, 7> place = differentiable(pairs);
    variable_list leaves, parts, upstream;
    for (size_t i = 0; i < 7; ++i)
      if (saved[i].defined() && saved[i].requires_grad())
        leaves.push_back(*place[i] = place[i]->variable_data().requires_grad_());
    {
      const at::AutoGradMode with_gradient(true);
      const NoAutocast no_autocast;
      const Matrix matrix = matrix_of(pairs);
      for (size_t k = 0; k < call.channels.size(); ++k) {
        const Channel& channel = call.channels[k];
        if (!gradient[k].defined() || channel.kind == Channel::Kind::max) continue;
        const Tensor part = part_of(channel, matrix, pairs.segments);
        if (!part.requires_grad()) continue;  // of no pairs
        parts.push_back(part);
        upstream.push_back(channel.per == Per::row ? gradient[k].slice(0, first, last)
                                                   : of_part(channel, gradient[k], part, saved[7 + k]));
      }
    }
    if (parts.empty() || leaves.empty()) return;
    const variable_list got = torch::autograd::grad(parts, leaves, upstream, std::nullopt, false, true);
    for (size_t i = 0, j = 0; i < 7; ++i) {
      if (!saved[i].defined() || !saved[i].requires_grad()) continue;
      if (!by[i].defined()) by[i] = torch::zeros(saved[i].sizes(), saved[i].options().dtype(torch::kDouble));
      const Tensor& one = got[j++];
      if (one.defined()) (i < kOfRows ? by[i].slice(0, first, last) : by[i]).add_(one);
    }
  }

  // The gradient of what a block of rows adds to columns: of an LSE its share of the whole.
  static Tensor of_part(const Channel& channel, const Tensor& gradient, const Tensor& part,
                        const Tensor& whole) {
    if (channel.kind != Channel::Kind::lse) return gradient;
    const Tensor share = (part.variable_data() - whole).exp();
    return torch::where(part.isneginf(), torch::zeros_like(share), share * gradient).variable_data();
  }
};

std::optional<Tensor> maybe(const Tensor& x) { return x.defined() ? std::optional(x) : std::nullopt; }

}  // namespace

std::vector<Tensor> reduce_plainly(const char* name, const Pairs& pairs,
                                   const std::vector<Channel>& channels) {
  Pairs apart = pairs;
  apart.column = columns_of(pairs);
  const Held call = c10::make_intrusive<Call>();
  call->name = name;
  call->pairs = apart;
  call->channels = channels;
  for (Tensor* const x : differentiable(call->pairs))
    if (x->defined()) *x = x->variable_data();
  const auto x = differentiable(apart);
  return Plainly::apply(call, maybe(*x[0]), maybe(*x[1]), maybe(*x[2]), maybe(*x[3]), maybe(*x[4]),
                        maybe(*x[5]), maybe(*x[6]));
}

}  // namespace foil::contrast
