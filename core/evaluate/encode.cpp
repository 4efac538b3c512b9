// SPDX-License-Identifier: BSD-3-Clause
// Blocks of whole batches over the ranks.
#include "evaluate/encode.h"

#include "data/texts.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

// Whole embeddings of the first `count` samples, in order, on every rank. encode_rows: sample ids [B] ->
// tensors [B, ...].
std::vector<Tensor> encode_all(int64_t count, int64_t batch_size,
                               const std::function<std::vector<Tensor>(const Tensor&)>& encode_rows,
                               const std::string& what, Ranks& ranks, const EvaluationProgress& progress) {
  const int64_t batches = (count + batch_size - 1) / batch_size;
  const int64_t first = batches * ranks.rank() / ranks.world_size(),
                last = batches * (ranks.rank() + 1) / ranks.world_size();
  const auto ids = [&](int64_t batch) {
    return torch::arange(batch * batch_size, std::min(count, (batch + 1) * batch_size));
  };
  if (progress && first < last) progress(what, 0, last - first);
  std::vector<std::vector<Tensor>> parts;  // by output, by batch
  std::vector<Tensor> seen;
  for (int64_t b = first; b < std::max(last, first + 1); ++b) {
    // A rank without a batch encodes one to know the shapes, and keeps none of its rows.
    const bool mine = b < last;
    const Tensor index = ids(mine ? b : 0);
    const std::vector<Tensor> rows = encode_rows(index);
    parts.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].size(0) != index.size(0)) {
        fail(Exit::failure, what, ": ", rows[i].size(0), " embeddings for ", index.size(0), " samples.");
      }
      parts[i].push_back(mine ? rows[i] : rows[i].narrow(0, 0, 0));
    }
    seen.push_back(mine ? index : index.narrow(0, 0, 0));
    if (progress && mine) progress(what, b + 1 - first, last - first);
  }
  std::vector<Tensor> all;
  for (const std::vector<Tensor>& part : parts) all.push_back(ranks.gather(torch::cat(part)));
  const Tensor order = ranks.gather(torch::cat(seen).to(all.at(0).device())).cpu();
  if (!order.equal(torch::arange(count))) {
    fail(Exit::failure, what, ": the ranks returned ", order.numel(), " samples, not 0 to ", count - 1,
         " once each.");
  }
  return all;
}

// How many samples are encoded at once: of a graph all, as an encoding is one of all nodes.
int64_t batch_of(const Dataset& data, Split split, int64_t count, int64_t batch_size) {
  return data.nodes(split).defined() ? std::max<int64_t>(count, 1) : batch_size;
}

std::vector<Tensor> listed(const Encoded& encoded) {
  return encoded.z.defined() ? std::vector<Tensor>{encoded.h, encoded.z} : std::vector<Tensor>{encoded.h};
}

}  // namespace

Labelled Encodings::labelled(size_t place) const {
  const Tensor known = (label >= 0).nonzero().squeeze(1);
  if (known.size(0) == label.size(0)) return {rows[place], label};
  return {rows[place].index_select(0, known.to(rows[place].device())), label.index_select(0, known)};
}

Tensor rows_of(const Tensor& rows, const Dataset& data, Split split, const Tensor& index) {
  const Tensor nodes = data.nodes(split);
  if (!nodes.defined() || !rows.defined()) return rows;
  return rows.index_select(0, nodes.index_select(0, index).to(rows.device()));
}

std::vector<Encodings> encode_split(const std::vector<Subject>& subjects, const Dataset& data, Split split,
                                    int64_t batch_size, Ranks& ranks, const EvaluationProgress& progress) {
  std::vector<size_t> places(subjects.size());  // how many embeddings each subject gives
  const auto encode_rows = [&](const Tensor& index) {
    const Views raw = data.read(split, index);
    std::vector<Tensor> rows;
    for (size_t m = 0; m < subjects.size(); ++m) {
      const std::vector<Tensor> own = listed(subjects[m].encode(subjects[m].prepare(raw)));
      places[m] = own.size();
      for (const Tensor& one : own) rows.push_back(rows_of(one, data, split, index));
    }
    return rows;
  };
  const std::string what = "encode " + std::string(name_of(split));
  const int64_t samples = data.size(split);
  const std::vector<Tensor> rows =
      encode_all(samples, batch_of(data, split, samples, batch_size), encode_rows, what, ranks, progress);
  Tensor label = data.labels(split);
  if (label.defined() && (label.numel() == 0 || label.max().item<int64_t>() < 0)) label = Tensor();
  std::vector<Encodings> all;
  auto begin = rows.begin();
  for (const size_t count : places) {
    const auto end = begin + static_cast<std::ptrdiff_t>(count);
    all.push_back({{begin, end}, label});
    begin = end;
  }
  return all;
}

std::vector<Tensor> encode_pairs(const Subject& subject, const Dataset& data, Split split, int64_t count,
                                 int64_t batch_size, Ranks& ranks, const EvaluationProgress& progress) {
  const auto encode_rows = [&](const Tensor& index) {
    const auto [first, second] = subject.encode_pair(split, index);
    std::vector<Tensor> both = listed(first);
    for (const Tensor& rows : listed(second)) both.push_back(rows);
    return both;
  };
  return encode_all(count, batch_of(data, split, count, batch_size), encode_rows, "encode pairs", ranks,
                    progress);
}

Tensor encode_texts(const Subject& subject, const Dataset& data, size_t modality,
                    const std::vector<std::string>& texts, int64_t batch_size, Ranks& ranks,
                    const EvaluationProgress& progress) {
  const std::vector<Modality> modalities = data.modalities();
  const Modality& of = modalities.at(modality);
  const Column all = text_column(texts, of.shape.sizes.at(0));
  const auto encode_rows = [&](const Tensor& index) {
    Views raw(modalities.size());  // a subject looks at its own
    View& view = raw[modality];
    view.modality = of.name;
    view.kind = of.shape.kind;
    view.data = all.data.index_select(0, index);
    view.length = all.length.index_select(0, index);
    return std::vector<Tensor>{listed(subject.encode(subject.prepare(raw))).back()};
  };
  return encode_all(std::ssize(texts), batch_size, encode_rows, "encode prompts", ranks, progress)[0];
}

}  // namespace foil
