// SPDX-License-Identifier: BSD-3-Clause
// What the host does for an encoder: draws that follow the samples.
#include <foil/encoder.h>
#include <foil/random.h>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace foil {
namespace {

// Which of `columns` entries of each row are dropped: bool [B, columns] on the CPU. Entry j of a row is word
// j of its Philox sequence, whatever else is drawn.
Tensor drawn_below(double probability, const Tensor& key, int64_t columns, std::string_view name) {
  const Tensor keys = key.to(at::kCPU).contiguous();
  const uint64_t place = mix_key(name_key("encoder"), name_key(name));
  Tensor dropped = torch::empty({keys.size(0), columns}, at::kBool);
  bool* const first = dropped.mutable_data_ptr<bool>();
  const int64_t* const row = keys.const_data_ptr<int64_t>();
  at::parallel_for(0, keys.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      Draws draws(place, static_cast<uint64_t>(row[b]));
      for (int64_t j = 0; j < columns; ++j) first[b * columns + j] = draws.uniform() < probability;
    }
  });
  return dropped;
}

void check_draw(const char* what, const Tensor& x, double probability, const Tensor& key) {
  if (!(probability >= 0 && probability < 1))
    fail(Exit::usage, what, ": probability = ", probability, ", allowed: 0 <= probability < 1.");
  if (!key.defined()) return;
  if (key.dim() != 1 || key.scalar_type() != at::kLong)
    fail(Exit::usage, what, ": the key is ", key.toString(), " ", key.sizes(),
         ", allowed: View::key, int64 [B].");
  if (x.dim() == 0 || x.size(0) != key.size(0))
    fail(Exit::usage, what, ": x is ", x.sizes(), ", allowed: [", key.size(0), ", ...], a row for each key.");
}

// x without the entries that `dropped` (bool, a row a sample, broadcast over the rest) says, in the layout of
// x.
Tensor without(const Tensor& x, const Tensor& dropped, double probability) {
  return x.clone().masked_fill_(dropped, 0).mul_(1 / (1 - probability));
}

}  // namespace

void require_images(const char* encoder, const EncoderSizes& sizes) {
  if (sizes.channels > 0 && sizes.height > 0) return;
  const int64_t length = sizes.channels + sizes.length;
  fail(Exit::usage, encoder, ": the data is ", name_of(sizes.kind), " of length ", length,
       ", allowed: images or spectrograms [C, H, W].");
}

Tensor dropout(const Tensor& x, double probability, const Tensor& key, std::string_view name) {
  check_draw("dropout", x, probability, key);
  if (probability == 0 || !key.defined()) return x;
  const int64_t columns = x.size(0) == 0 ? 0 : x.numel() / x.size(0);
  return without(x, drawn_below(probability, key, columns, name).view(x.sizes()).to(x.device()), probability);
}

Tensor stochastic_depth(const Tensor& x, double probability, const Tensor& key, std::string_view name) {
  check_draw("stochastic_depth", x, probability, key);
  if (probability == 0 || !key.defined()) return x;
  std::vector<int64_t> row(static_cast<size_t>(x.dim()), 1);
  row[0] = x.size(0);
  return without(x, drawn_below(probability, key, 1, name).view(row).to(x.device()), probability);
}

}  // namespace foil
