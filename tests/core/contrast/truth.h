// SPDX-License-Identifier: BSD-3-Clause
// contrast in plain tensors: the whole matrix of pairs, in fp64, differentiated by autograd.
#pragma once

#include <foil/contrast.h>

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/types.h>

namespace truth {

using foil::Tensor;
namespace contrast = foil::contrast;

inline Tensor wide(const Tensor& x) { return x.defined() ? x.to(torch::kDouble) : x; }

// z: [N, M].
inline Tensor similarities(const contrast::Pairs& pairs) {
  const contrast::Side& row = pairs.row;
  const contrast::Side& column = pairs.column.data.defined() ? pairs.column : pairs.row;
  Tensor z = torch::matmul(wide(row.data), wide(column.data).t());
  z = z * (pairs.scale.tensor.defined() ? wide(pairs.scale.tensor) : torch::tensor(pairs.scale.value));
  if (row.scale.defined()) z = z * wide(row.scale).unsqueeze(1);
  if (column.scale.defined()) z = z * wide(column.scale);
  if (row.offset.defined()) z = z + wide(row.offset).unsqueeze(1);
  if (column.offset.defined()) z = z + wide(column.offset);
  return z;
}

// Which pairs a channel counts: bool [N, M].
inline Tensor counted(const contrast::Pairs& pairs, contrast::Which which) {
  const contrast::Side& row = pairs.row;
  const contrast::Side& column = pairs.column.data.defined() ? pairs.column : pairs.row;
  Tensor all = torch::ones({row.data.size(0), column.data.size(0)}, torch::kBool);
  if (row.id.defined()) all = all.logical_and(row.id.unsqueeze(1) != column.id);
  for (int64_t e = 0; pairs.left_out.defined() && e < pairs.left_out.size(1); ++e)
    all[pairs.left_out[0][e].item<int64_t>()][pairs.left_out[1][e].item<int64_t>()] = false;
  if (which == contrast::Which::all) return all;
  const Tensor alike = (row.label.unsqueeze(1) == column.label).logical_and(row.label.unsqueeze(1) >= 0);
  return all.logical_and(which == contrast::Which::alike ? alike : alike.logical_not());
}

inline Tensor phi(contrast::Phi phi, const Tensor& z) {
  switch (phi) {
    case contrast::Phi::identity:
      return z;
    case contrast::Phi::exp:
      return z.exp();
    case contrast::Phi::softplus:
      return torch::logaddexp(z, torch::zeros_like(z));
    case contrast::Phi::sigmoid:
      return torch::sigmoid(z);
    case contrast::Phi::hinge:
      return z.clamp_min(0);
    case contrast::Phi::squared_hinge:
      return z.clamp_min(0).square();
  }
  return z;
}

// Of z [N, M] over its columns: [N].
inline Tensor reduced(const contrast::Channel& channel, const Tensor& z, const Tensor& counted) {
  const Tensor none = torch::full_like(z, -std::numeric_limits<double>::infinity());
  const Tensor nothing = none.new_full({z.size(0), 1}, -std::numeric_limits<double>::infinity());
  const Tensor top = torch::cat({torch::where(counted, z.detach(), none), nothing}, 1).amax(1);  // [N]
  const Tensor any = counted.any(1);
  switch (channel.kind) {
    case contrast::Channel::Kind::max:
      return top;
    case contrast::Channel::Kind::sum:
      return torch::where(counted, phi(channel.phi, z), torch::zeros_like(z)).sum(1);
    case contrast::Channel::Kind::lse:
      break;
  }
  const Tensor from = torch::where(top.isfinite(), top, torch::zeros_like(top));
  const Tensor powers =
      torch::where(counted, torch::where(counted, z - from.unsqueeze(1), z * 0).exp(), torch::zeros_like(z));
  const Tensor sum = torch::where(any, powers.sum(1), torch::ones_like(top));
  return torch::where(any, from + sum.log(), top);
}

inline std::vector<Tensor> reduce(const contrast::Pairs& pairs,
                                  const std::vector<contrast::Channel>& channels) {
  std::vector<Tensor> results;
  for (const contrast::Channel& channel : channels) {
    const Tensor z = similarities(pairs) * channel.slope, mask = counted(pairs, channel.which);
    if (channel.per == contrast::Per::column) {
      results.push_back(reduced(channel, z.t(), mask.t()));
      continue;
    }
    if (pairs.segments.empty()) {
      results.push_back(reduced(channel, z, mask));
      continue;
    }
    std::vector<Tensor> ranges;
    int64_t begin = 0;
    for (const int64_t size : pairs.segments) {
      ranges.push_back(reduced(channel, z.slice(1, begin, begin + size), mask.slice(1, begin, begin + size)));
      begin += size;
    }
    results.push_back(torch::stack(ranges, 1));
  }
  return results;
}

// The tensors that gradients flow to.
inline std::vector<Tensor> leaves(const contrast::Pairs& pairs) {
  std::vector<Tensor> all;
  for (const Tensor& x : {pairs.row.data, pairs.column.data, pairs.scale.tensor, pairs.row.scale,
                          pairs.row.offset, pairs.column.scale, pairs.column.offset})
    if (x.defined() && x.requires_grad()) all.push_back(x);
  return all;
}

// Some weights of each entry of the results that is finite and has a gradient, added up.
inline Tensor weighted(const std::vector<Tensor>& results) {
  Tensor sum = torch::zeros({}, torch::kDouble);
  double phase = 1;
  for (const Tensor& result : results) {
    if (!result.requires_grad()) continue;
    const Tensor weight =
        torch::sin(torch::arange(result.numel(), torch::kDouble) * 1.7 + phase++).view(result.sizes()) + 0.3;
    sum =
        sum +
        torch::where(result.isfinite(), result.to(torch::kDouble) * weight, torch::zeros_like(weight)).sum();
  }
  return sum;
}

inline std::vector<Tensor> gradients(const Tensor& value, const std::vector<Tensor>& leaves) {
  return torch::autograd::grad({value}, leaves, {}, /*retain_graph=*/true);
}

// The largest difference, relative to the largest number; 0 and infinities where both agree.
inline double apart(const Tensor& a, const Tensor& b) {
  if (a.numel() == 0) return a.sizes() == b.sizes() ? 0 : 1;
  const Tensor x = wide(a), y = wide(b);
  if (!x.isfinite().equal(y.isfinite())) return 1e9;
  if (!x.isneginf().equal(y.isneginf())) return 1e9;
  const Tensor finite = y.isfinite();
  const Tensor difference = torch::where(finite, x - y, torch::zeros_like(x)).abs().max();
  const double largest = torch::where(finite, y, torch::zeros_like(y)).abs().max().item<double>();
  return difference.item<double>() / std::max(largest, 1e-30);
}

}  // namespace truth
