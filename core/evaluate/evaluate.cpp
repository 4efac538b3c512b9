// SPDX-License-Identifier: BSD-3-Clause
// Encoding over ranks, then one entry a measure.
#include "evaluate/evaluate.h"

#include "evaluate/checks.h"
#include "evaluate/class_frequency.h"
#include "evaluate/clustering.h"
#include "evaluate/geometry.h"
#include "evaluate/linear_probe.h"

#include <foil/cluster.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

const std::vector<std::string> kPlaces = {"features", "projections"};
constexpr int64_t kPairs = 2048;  // samples of the alignment
using Progress = std::function<void(const std::string&, int64_t, int64_t)>;

// Whole embeddings of the first `count` samples, in order, on every rank. encode_rows: sample ids [B] ->
// tensors [B, ...].
std::vector<Tensor> encode_all(int64_t count, int64_t batch_size,
                               const std::function<std::vector<Tensor>(const Tensor&)>& encode_rows,
                               const std::string& what, Ranks& ranks, const Progress& progress) {
  const int64_t batches = (count + batch_size - 1) / batch_size;
  const int64_t first = batches * ranks.rank() / ranks.world_size(),
                last = batches * (ranks.rank() + 1) / ranks.world_size();
  const auto ids = [&](int64_t batch) {
    return torch::arange(batch * batch_size, std::min(count, (batch + 1) * batch_size));
  };
  std::vector<std::vector<Tensor>> parts;  // by output, by batch
  std::vector<Tensor> seen;
  for (int64_t b = first; b < std::max(last, first + 1); ++b) {
    const bool mine =
        b < last;  // a rank without a batch encodes one to know the shapes, and keeps none of its rows
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

std::vector<Tensor> listed(const Encoded& encoded) {
  return encoded.z.defined() ? std::vector<Tensor>{encoded.h, encoded.z} : std::vector<Tensor>{encoded.h};
}

struct Labelled {
  Tensor rows, label;
};

// One split: embeddings by place (features, then projections where there are any) and labels (undefined:
// none).
struct Encodings {
  std::vector<Tensor> rows;
  Tensor label;

  // Only the samples with a label.
  Labelled labelled(size_t place) const {
    const Tensor known = (label >= 0).nonzero().squeeze(1);
    if (known.size(0) == label.size(0)) return {rows[place], label};
    return {rows[place].index_select(0, known.to(rows[place].device())), label.index_select(0, known)};
  }
};

Encodings encode_split(const Subject& subject, const Dataset& data, Split split,
                       const EvaluateOptions& options, Ranks& ranks, const Progress& progress) {
  const auto encode_rows = [&](const Tensor& index) {
    return listed(subject.encode(subject.prepare(data.read(split, index))));
  };
  const std::string what = split == Split::train ? "encode train" : "encode test";
  Encodings all{encode_all(data.size(split), options.batch_size, encode_rows, what, ranks, progress),
                data.labels(split)};
  if (all.label.defined() && (all.label.numel() == 0 || all.label.max().item<int64_t>() < 0))
    all.label = Tensor();
  return all;
}

nlohmann::json entry(double value, const char* unit, std::string protocol) {
  return {{"value", value}, {"unit", unit}, {"protocol", std::move(protocol)}};
}

// An accuracy as an entry; with groups, one more for each of them, of the same hits.
void add_accuracy(nlohmann::json& result, const std::string& key, nlohmann::json whole, const Tensor& hits,
                  const Tensor& labels, const std::vector<FrequencyGroup>& groups) {
  for (const FrequencyGroup& group : groups) {
    const std::optional<double> accuracy = group_mean(hits, labels, group);
    if (!accuracy) continue;
    nlohmann::json part = entry(
        100 * *accuracy, "%", whole["protocol"].get<std::string>() + "/" + group.name + "-third-of-classes");
    part["classes"] = group.classes;
    result[key + "_" + group.name] = std::move(part);
  }
  result[key] = std::move(whole);
}

void add_knn(nlohmann::json& result, const std::string& key, const Labelled& train, const Labelled& test,
             int64_t classes, const KnnOptions& knn, const std::vector<FrequencyGroup>& groups,
             const std::string& data_id, Ranks& ranks) {
  const Tensor hits = knn_hits(train.rows, train.label, test.rows, test.label, classes, knn, ranks);
  const std::string vote = knn.vote == "weighted" ? fmt::format("T{}-weighted", knn.temperature) : knn.vote;
  nlohmann::json voted =
      entry(100 * hits.to(torch::kDouble).mean().item<double>(), "%",
            fmt::format("knn-{}-k{}-{}/{}", knn.similarity, knn.neighbours, vote, data_id));
  voted.update({{"neighbours", knn.neighbours},
                {"temperature", knn.temperature},
                {"vote", knn.vote},
                {"similarity", knn.similarity}});
  add_accuracy(result, key, std::move(voted), hits, test.label, groups);
}

void add_linear(nlohmann::json& result, const std::string& key, const Labelled& train, const Labelled& test,
                int64_t classes, const std::vector<FrequencyGroup>& groups, const std::string& data_id,
                const std::function<void(int64_t, int64_t)>& progress) {
  const LinearProbeOptions options;
  const LinearProbe probe =
      linear_probe(train.rows, train.label, test.rows, test.label, classes, options, progress);
  nlohmann::json fitted =
      entry(100 * probe.accuracy, "%",
            fmt::format("linear-lbfgs-l2from{}to{}by{}-heldout{}-seed{}-tolerance{}-iterations{}/{}",
                        options.l2.front(), options.l2.back(), options.l2.size(), options.held_out,
                        options.seed, options.tolerance, options.max_iterations, data_id));
  fitted.update({{"l2", probe.l2},
                 {"held_out", 100 * probe.held_out_accuracy},
                 {"iterations", probe.iterations},
                 {"converged", probe.converged},
                 {"gradient_norm", probe.gradient_norm}});
  add_accuracy(result, key, std::move(fitted), probe.hits, test.label, groups);
}

// k-means with as many clusters as there are classes, against the labels.
void add_clustering(nlohmann::json& result, const std::string& name, const Labelled& test, int64_t classes,
                    const std::string& data_id, Ranks& ranks) {
  const KMeansOptions options;
  const Partition found = k_means(test.rows, std::min(classes, test.rows.size(0)), options, ranks);
  const std::string id = fmt::format("kmeans-cosine-k{}-restarts{}-iterations{}-seed{}/{}", classes,
                                     options.restarts, options.max_iterations, options.seed, data_id);
  result[name + ".nmi"] =
      entry(normalized_mutual_information(found.cluster.cpu(), test.label), "", "nmi-" + id);
  result[name + ".ari"] = entry(adjusted_rand_index(found.cluster.cpu(), test.label), "", "ari-" + id);
}

nlohmann::json std_entry(const Tensor& rows, const std::string& data_id) {
  const Spread spread = std_per_dimension(rows);
  nlohmann::json deviation = entry(spread.mean, "", "std-per-dimension/" + data_id);
  deviation.update({{"min", spread.min}, {"dimensions", rows.size(1)}});
  return deviation;
}

}  // namespace

void EvaluateOptions::describe(Fields& fields) {
  knn.describe(fields);
  fields.flag("linear", linear, "fit a linear probe");
  fields.flag("class_frequency", class_frequency,
              "also accuracy on the classes with many, medium and few training samples");
  fields.flag("clustering", clustering, "k-means of the test split against its labels: NMI and ARI");
  fields.flag("geometry", geometry,
              "alignment, uniformity, effective rank, standard deviation per dimension");
  fields.flag("baselines", baselines, "foil ablate: also raw pixels and the untrained encoder");
  fields.integer("batch_size", batch_size, "samples encoded at once, on each rank", at_least(1));
  fields.integer("every_epochs", every_epochs,
                 "also kNN on a part of the data every so many epochs of training; 0 = never", at_least(0));
  fields.integer("online_samples", online_samples, "so many rows of each split at most while training",
                 at_least(1));
  fields.texts("on", on, "what is measured: features (before the head), projections");
}

void EvaluateOptions::check() const {
  if (on.empty()) refuse("evaluate.on", "[]", "a list of one or both of \"features\", \"projections\"");
  for (const std::string& place : on) {
    if (std::find(kPlaces.begin(), kPlaces.end(), place) != kPlaces.end()) continue;
    throw Error("unknown entry '" + place + "' in evaluate.on." + known_names("entries", place, kPlaces),
                Exit::usage, "evaluate.on");
  }
  if (every_epochs > 0 && online_samples < knn.neighbours) {
    refuse("evaluate.online_samples", online_samples,
           "at least evaluate.neighbours = " + std::to_string(knn.neighbours));
  }
}

Encoded raw_pixels(const Tensor& images) { return {images.flatten(1), {}}; }

nlohmann::json evaluate(const Subject& subject, const Dataset& data, const EvaluateOptions& options,
                        Ranks& ranks, const Progress& progress) {
  torch::NoGradGuard no_grad;
  options.check();
  if (options.batch_size < 1) refuse("evaluate.batch_size", options.batch_size, "an integer >= 1");
  if (data.size(Split::train) == 0)
    fail(Exit::data, "evaluation: the data set has no samples in its train split.");
  const auto on = [&](size_t place) {
    return std::find(options.on.begin(), options.on.end(), kPlaces[place]) != options.on.end();
  };
  const int64_t classes = static_cast<int64_t>(data.classes().size());
  const Split measured = data.size(Split::test) > 0 ? Split::test : Split::train;

  // Embeddings.
  Encodings train, test;
  const bool supervised = classes > 0 && measured == Split::test;
  if (supervised || measured == Split::train)
    train = encode_split(subject, data, Split::train, options, ranks, progress);
  if (measured == Split::test) test = encode_split(subject, data, Split::test, options, ranks, progress);
  const Encodings& shape = measured == Split::test ? test : train;
  const bool with_labels = supervised && train.label.defined() && test.label.defined();
  const int64_t pairs = std::min(kPairs, data.size(measured));
  std::vector<Tensor> views;  // of the first view by place, then of the second
  if (options.geometry && subject.encode_pair) {
    const auto encode_rows = [&](const Tensor& index) {
      const auto [first, second] = subject.encode_pair(measured, index);
      std::vector<Tensor> both = listed(first);
      for (const Tensor& rows : listed(second)) both.push_back(rows);
      return both;
    };
    views = encode_all(pairs, options.batch_size, encode_rows, "encode pairs", ranks, progress);
  }

  // Measures.
  nlohmann::json result = nlohmann::json::object();
  for (size_t place = 0; place < shape.rows.size(); ++place) {
    if (!on(place)) continue;
    const std::string& name = kPlaces[place];
    const auto report = [&](const char* what) {
      return [&, what](int64_t done, int64_t all) {
        if (progress) progress(name + what, done, all);
      };
    };
    if (with_labels) {
      const Labelled bank = train.labelled(place), queries = test.labelled(place);
      const std::string data_id = fmt::format("{}/train{}/test{}/{}/v1", name, bank.rows.size(0),
                                              queries.rows.size(0), subject.preparation);
      const std::vector<FrequencyGroup> groups =
          options.class_frequency ? frequency_groups(bank.label, classes) : std::vector<FrequencyGroup>{};
      report(" kNN")(0, 1);
      add_knn(result, name + ".knn", bank, queries, classes, options.knn, groups, data_id, ranks);
      report(" kNN")(1, 1);
      if (options.linear)
        add_linear(result, name + ".linear", bank, queries, classes, groups, data_id,
                   report(" linear probe"));
      if (options.clustering) {
        report(" clustering")(0, 1);
        const std::string test_id =
            fmt::format("{}/test{}/{}/v1", name, queries.rows.size(0), subject.preparation);
        add_clustering(result, name, queries, classes, test_id, ranks);
        report(" clustering")(1, 1);
      }
    }
    if (options.geometry) {
      const Tensor& rows = shape.rows[place];
      const char* split = measured == Split::test ? "test" : "train";
      const std::string data_id =
          fmt::format("{}/{}{}/{}/v1", name, split, rows.size(0), subject.preparation);
      report(" geometry")(0, 1);
      if (!views.empty()) {
        result[name + ".alignment"] =
            entry(alignment(views.at(place), views.at(views.size() / 2 + place)), "",
                  fmt::format("alignment-a2/{}/{}{}/{}/v1", name, split, pairs, subject.augmentation));
      }
      if (rows.size(0) > 1)
        result[name + ".uniformity"] = entry(uniformity(rows), "", "uniformity-t2/" + data_id);
      result[name + ".effective_rank"] = entry(effective_rank(rows), "", "effective-rank/" + data_id);
      result[name + ".std"] = std_entry(rows, data_id);
      report(" geometry")(1, 1);
    }
  }
  return result;
}

}  // namespace foil
