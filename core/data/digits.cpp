// SPDX-License-Identifier: BSD-3-Clause
// Reading the three modalities of the digits, whose layout is in digits.h, and holding them against each
// other.
#include "data/digits.h"

#include "data/aligned.h"
#include "data/file.h"
#include "data/idx_file.h"
#include "data/texts.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

constexpr int64_t kRate = 8000;
constexpr int64_t kDigits = 10;

// An IDX file that has a row for each of the `count` rows of `images`.
Tensor read_beside(const std::string& path, const std::string& images, int64_t count, int dimensions,
                   const char* noun, IdxType type) {
  IdxFile file(path, dimensions, dimensions, noun, type);
  if (file.sizes()[0] != count)
    fail(Exit::data, path, ": ", file.sizes()[0], " ", noun, ", but ", images, " holds ", count, " images.");
  return file.read();
}

// Every number of `rows` within low ... high; it is called `what` in messages.
void check_range(const std::string& path, const Tensor& rows, const char* what, int64_t low, int64_t high) {
  const Tensor wrong = ((rows < low) | (rows > high)).nonzero();
  if (wrong.numel() == 0) return;
  const int64_t row = wrong[0].item<int64_t>();
  fail(Exit::data, path, ": ", what, " ", rows[row].item<int64_t>(), " of row ", row, ", allowed: ", low,
       " to ", high, ".");
}

Column read_audio(const std::string& folder, const std::string& images, int64_t count) {
  const std::string path = plain_or_gz(folder, "audio-idx2-short"),
                    lengths = plain_or_gz(folder, "audio-lengths-idx1-int");
  Column audio{read_beside(path, images, count, 2, "recordings", IdxType::shorts),
               read_beside(lengths, images, count, 1, "lengths", IdxType::ints).to(torch::kLong)};
  const int64_t longest = audio.data.size(1);
  check_range(lengths, audio.length, "length", 1, longest);
  for (int64_t row = 0; row < count; ++row) {
    const auto* wave = audio.data.const_data_ptr<int16_t>() + row * longest;
    const int64_t length = audio.length.const_data_ptr<int64_t>()[row];
    const auto* sound = std::find_if(wave + length, wave + longest, [](int16_t x) { return x != 0; });
    if (sound != wave + longest)
      fail(Exit::data, path, ": sample ", sound - wave, " of row ", row, " is ", *sound,
           ", allowed: 0, as the recording has ", length, " samples.");
  }
  return audio;
}

Contents read_digits(const std::string& folder) {
  const std::string images = plain_or_gz(folder, "images-idx3-ubyte"),
                    labels = plain_or_gz(folder, "labels-idx1-ubyte");
  IdxFile image_file(images, 3, 3, "images");
  const int64_t count = image_file.sizes()[0];
  Table all;
  all.columns.push_back({image_file.read().unsqueeze(1), {}});
  all.columns.push_back(read_audio(folder, images, count));
  all.label = read_beside(labels, images, count, 1, "labels", IdxType::bytes).to(torch::kLong);
  all.group = all.label;
  check_range(labels, all.label, "label", 0, kDigits - 1);

  Tsv index(plain_or_gz(folder, "index.tsv"));
  const size_t digit = index.column("digit"), text = index.column("text");
  std::vector<std::string> texts;
  const SplitRows rows = read_index(index, count, images, [&](int64_t row, Split) {
    const int64_t label = all.label.const_data_ptr<int64_t>()[row];
    if (index.integer(digit, 0, kDigits - 1) != label)
      index.refuse_cell(digit, std::to_string(label) + ", the label of this row in " + labels);
    texts.emplace_back(index.cell(text));
    return true;
  });
  all.columns.push_back(text_column(texts, longest_of(texts)));

  Contents contents;
  contents.modalities = {{"image", {Kind::image, all.columns[0].data.sizes().slice(1).vec(), 0}},
                         {"audio", {Kind::audio, all.columns[1].data.sizes().slice(1).vec(), kRate}},
                         text_modality("text", all.columns[2].data.size(1))};
  set_splits(all, rows, contents);
  for (int64_t c = 0; c < kDigits; ++c) contents.classes.push_back(std::to_string(c));
  return contents;
}

}  // namespace

Digits::Digits(const Options& options)
    : MemoryDataset(read_digits(find_folder({"digits", "digits-trimodal", "audio-idx2-short", "",
                                             "images, recordings and index.tsv of the digits in one folder"},
                                            options.path))) {}

}  // namespace foil
