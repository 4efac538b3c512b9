// SPDX-License-Identifier: BSD-3-Clause
// The splits of a folder of embeddings, each checked against the training split; the layout is in
// embeddings.h.
#include "data/embeddings.h"

#include "data/lines.h"
#include "data/npy.h"
#include "run/safetensors.h"
#include "run/text.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <filesystem>

namespace foil {
namespace {

namespace fs = std::filesystem;

// The arrays of a split by name, and the file of each for messages.
struct Arrays {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> files;
};

Arrays read_split(const std::string& folder, const std::string& split) {
  Arrays arrays;
  const fs::path whole = fs::path(folder) / (split + ".safetensors");
  std::error_code ignored;
  if (fs::exists(whole, ignored)) {
    arrays.tensors = load_tensors(whole.string()).tensors;
    for (const auto& [name, tensor] : arrays.tensors) arrays.files[name] = whole.string();
    return arrays;
  }
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string file = entry.path().filename().string();
    const std::string begin = split + ".", end = ".npy";
    if (file.size() <= begin.size() + end.size() || !file.starts_with(begin) || !file.ends_with(end))
      continue;
    const std::string name = file.substr(begin.size(), file.size() - begin.size() - end.size());
    arrays.files[name] = entry.path().string();
    arrays.tensors[name] = load_npy(entry.path().string());
  }
  return arrays;
}

std::string place_of(const Arrays& arrays, const std::string& name) {
  return printable(arrays.files.at(name)) + ": " + in_quotes(name);
}

// int64 [rows], each at least -1; undefined where there is no such array.
Tensor whole_numbers(const Arrays& arrays, const std::string& name, int64_t rows) {
  const auto found = arrays.tensors.find(name);
  if (found == arrays.tensors.end()) return {};
  const Tensor& given = found->second;
  if (given.dim() != 1 || !at::isIntegralType(given.scalar_type(), /*includeBool=*/false) ||
      given.size(0) != rows)
    fail(Exit::data, place_of(arrays, name), " is ", given.dtype(), " ", given.sizes(),
         ", allowed: whole numbers [", rows, "], one for each sample.");
  const Tensor numbers = given.to(torch::kLong);
  if (rows > 0 && numbers.min().item<int64_t>() < -1)
    fail(Exit::data, place_of(arrays, name), " holds ", numbers.min().item<int64_t>(),
         ", allowed: at least -1, which says that a sample has none.");
  return numbers;
}

Tensor embedding(const Arrays& arrays, const std::string& name, int64_t rows) {
  const Tensor& given = arrays.tensors.at(name);
  if (given.dim() != 2 || !given.is_floating_point() || given.size(1) == 0)
    fail(Exit::data, place_of(arrays, name), " is ", given.dtype(), " ", given.sizes(),
         ", allowed: floats [N, F], or whole numbers [N] by the name of label or group.");
  if (rows >= 0 && given.size(0) != rows)
    fail(Exit::data, place_of(arrays, name), " has ", given.size(0), " rows, the other arrays ", rows, ".");
  const Tensor rows_of = given.scalar_type() == at::kDouble ? given : given.to(at::kFloat);
  const Tensor bad = (~rows_of.isfinite()).any(1).nonzero();
  if (bad.numel() > 0)
    fail(Exit::data, place_of(arrays, name), ": row ", bad[0].item<int64_t>(), " (from 0) is not finite.");
  return rows_of.contiguous();
}

std::vector<std::string> modalities_of(const Arrays& arrays) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : arrays.tensors)
    if (name != "label" && name != "group") names.push_back(name);
  return names;
}

Table table_of(const Arrays& arrays, const std::vector<std::string>& modalities) {
  Table table;
  for (const std::string& name : modalities) {
    const int64_t rows = table.columns.empty() ? -1 : table.size();
    table.columns.push_back({embedding(arrays, name, rows), {}});
  }
  table.label = whole_numbers(arrays, "label", table.size());
  table.group = whole_numbers(arrays, "group", table.size());
  return table;
}

Contents read_embeddings(const std::string& folder) {
  Contents contents;
  const Arrays train = read_split(folder, "train");
  const std::vector<std::string> modalities = modalities_of(train);
  if (modalities.empty())
    fail(Exit::data, "embeddings: no train.safetensors and no train.NAME.npy with an array [N, F] in ",
         folder.empty() ? "the working directory" : printable(folder), ". Set data.path to their folder.");
  contents.train = table_of(train, modalities);
  if (contents.train.size() == 0) fail(Exit::data, place_of(train, modalities[0]), " has no rows.");
  for (size_t m = 0; m < modalities.size(); ++m)
    contents.modalities.push_back(
        {modalities[m], {Kind::vector, {contents.train.columns[m].data.size(1)}, 0}});
  int64_t classes = contents.train.label.defined() ? contents.train.label.max().item<int64_t>() + 1 : 0;
  for (const auto& [split, table] :
       {std::pair{"validation", &contents.validation}, {"test", &contents.test}}) {
    const Arrays arrays = read_split(folder, split);
    if (arrays.tensors.empty()) continue;
    for (const std::string& name : modalities) {
      if (!arrays.tensors.count(name))
        fail(Exit::data, printable(arrays.files.begin()->second), ": ", split, " has no array ",
             in_quotes(name), ", but train has.", known_names("arrays", name, modalities_of(arrays)));
      const Tensor& got = arrays.tensors.at(name);
      const size_t m =
          static_cast<size_t>(std::find(modalities.begin(), modalities.end(), name) - modalities.begin());
      const int64_t width = contents.train.columns[m].data.size(1);
      if (got.dim() == 2 && got.size(1) != width)
        fail(Exit::data, place_of(arrays, name), " is ", got.size(1), " wide, of train ", width, ".");
    }
    *table = table_of(arrays, modalities);
    if (table->label.defined() && table->size() > 0)
      classes = std::max(classes, table->label.max().item<int64_t>() + 1);
  }
  if (classes > 1'000'000)
    fail(Exit::data, printable(folder), ": a label is ", classes - 1, ", allowed: -1 to 999999.");
  for (int64_t c = 0; c < classes; ++c) contents.classes.push_back(std::to_string(c));
  return contents;
}

}  // namespace

Embeddings::Embeddings(const Options& options) : MemoryDataset(read_embeddings(options.path)) {}

}  // namespace foil
