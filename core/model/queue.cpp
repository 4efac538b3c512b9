// SPDX-License-Identifier: BSD-3-Clause
#include "model/queue.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

#include <algorithm>

namespace foil {

QueueStore::QueueStore(const QueueNeed& need, int64_t width, uint64_t key, const at::TensorOptions& options)
    : need_(need) {
  const Tensor start =
      torch::randn({need.length, width}, at::make_generator<at::CPUGeneratorImpl>(key), torch::kDouble);
  const Tensor nothing = torch::full({need.length}, -1, options.dtype(torch::kLong));
  data_ = register_buffer("data", unit(start).to(options));
  if (need.index) index_ = register_buffer("index", nothing.clone());
  if (need.label) label_ = register_buffer("label", nothing.clone());
  entered_ = register_buffer("entered", torch::zeros({}, nothing.options()));
}

Queue QueueStore::look() const {
  return {data_, label_, index_, std::min(entered_.item<int64_t>(), need_.length), need_.view};
}

void QueueStore::enqueue(const LossInput& input, const Tensor& label) {
  if (input.epoch < need_.start_epoch) return;
  torch::NoGradGuard no_grad;
  const std::vector<Tensor>& source = need_.source == QueueNeed::Source::online ? input.z : input.target;
  const Tensor rows = input.gather(source.at(static_cast<size_t>(need_.view)));  // [N, D]
  const int64_t n = rows.size(0), skipped = std::max<int64_t>(0, n - need_.length);
  const Tensor place = (entered_ + torch::arange(skipped, n, entered_.options())).remainder(need_.length);
  data_.index_copy_(0, place, rows.slice(0, skipped).to(data_.scalar_type()));
  if (index_.defined()) index_.index_copy_(0, place, input.gather(input.index).slice(0, skipped));
  if (label_.defined()) label_.index_copy_(0, place, input.gather(label).slice(0, skipped));
  entered_ += n;
}

}  // namespace foil
