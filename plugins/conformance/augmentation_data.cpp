// SPDX-License-Identifier: BSD-3-Clause
// Images, vectors, waves, spectrograms and texts, seven of each.
#include "augmentation_data.h"

#include "trials.h"

#include <foil/augmentation.h>

#include <torch/types.h>

#include <algorithm>

namespace foil::conformance {
namespace {

View view_of(const Tensor& data, Kind kind = Kind::image) {
  View view;
  view.modality = name_of(kind);
  view.kind = kind;
  view.data = data;
  return view;
}

View images() { return view_of(random_bytes({kSamples, 3, 24, 20}, 1)); }
View grey_images() { return view_of(random_bytes({kSamples, 1, 24, 20}, 2)); }
View vectors() { return view_of(random_numbers({kSamples, 6}, 3).to(at::kFloat), Kind::vector); }
View waves() {
  View view =
      view_of((random_numbers({kSamples, 4000}, 5) * 8000).clamp(-32000, 32000).to(at::kShort), Kind::audio);
  view.length = torch::arange(kSamples) * 500 + 1000;
  view.data.masked_fill_(torch::arange(4000) >= view.length.unsqueeze(1), 0);
  return view;
}
View spectrograms() {
  return view_of((random_numbers({kSamples, 1, 64, 70}, 6) * 4 - 2).to(at::kFloat), Kind::audio);
}
View texts() {
  View view = view_of(torch::zeros({kSamples, 40}, at::kByte), Kind::text);
  const char* const some[kSamples] = {"",          "a",
                                      "two words", "gr\u00fc\u00df dich, \u4e16\u754c",
                                      "a  b\tc",   "forty letters stand in this line of text",
                                      "1234 5678"};
  std::vector<int64_t> length;
  for (int64_t b = 0; b < kSamples; ++b) {
    const std::string text = some[b];
    length.push_back(static_cast<int64_t>(std::min<size_t>(text.size(), 40)));
    std::copy_n(text.data(), length.back(), view.data.mutable_data_ptr<uint8_t>() + b * 40);
  }
  view.length = torch::tensor(length);
  return view;
}
View ragged_images() {
  View view;
  for (int64_t b = 0; b < kSamples; ++b)
    view.ragged.push_back(random_bytes({3, 20 + b, 26 - 2 * b}, static_cast<uint64_t>(10 + b)));
  return view;
}

}  // namespace

const std::vector<Data>& augmentation_data() {
  static const std::vector<Data> all = {
      {"images [3, 24, 20]", {Kind::image, {3, 24, 20}}, images},
      {"images [1, 24, 20]", {Kind::image, {1, 24, 20}}, grey_images},
      {"vectors [6]", {Kind::vector, {6}}, vectors},
      {"waves [4000]", {Kind::audio, {4000}, 8000}, waves},
      {"spectrograms [1, 64, 70]", {Kind::audio, {1, 64, 70}, 8000}, spectrograms},
      {"text [40]", {Kind::text, {40}, 256}, texts},
      {"images of different sizes", {Kind::image, {3, -1, -1}}, ragged_images}};
  return all;
}

Tensor as_numbers(const View& view) {
  if (view.data.dim() == 4) return as_float_image(view.data);
  return view.kind == Kind::audio ? as_float_wave(view.data) : view.data;
}

View samples_at(const View& view, const Tensor& positions) {
  View part = view;
  if (view.data.defined()) part.data = view.data.index_select(0, positions);
  if (view.length.defined()) part.length = view.length.index_select(0, positions);
  part.ragged.clear();
  for (int64_t i = 0; !view.ragged.empty() && i < positions.size(0); ++i)
    part.ragged.push_back(view.ragged[static_cast<size_t>(positions[i].item<int64_t>())]);
  return part;
}

}  // namespace foil::conformance
