// SPDX-License-Identifier: BSD-3-Clause
// Encoding, then one measure after another, each in its own file.
#include "evaluate/evaluate.h"

#include "evaluate/class_frequency.h"
#include "evaluate/clustering.h"
#include "evaluate/encode.h"
#include "evaluate/geometry.h"
#include "evaluate/linear_probe.h"
#include "evaluate/measuring.h"
#include "evaluate/retrieval.h"
#include "evaluate/roc.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

const std::vector<std::string> kPlaces = {"features", "projections"};
constexpr int64_t kPairs = 2048;  // samples of the alignment

// What evaluate() encodes before it measures.
struct Embedded {
  Split measured = Split::test;
  std::vector<Encodings> train, test;      // by subject; train is left out where nothing is learned from it
  std::vector<std::vector<Tensor>> views;  // by subject, as encode_pairs returns them; empty: none
  bool with_labels = false;                // in both splits

  const std::vector<Encodings>& rows() const { return measured == Split::train ? train : test; }
};

Embedded embed(const std::vector<Subject>& subjects, const Dataset& data, const EvaluateOptions& options,
               Ranks& ranks, const EvaluationProgress& progress) {
  Embedded all;
  const bool with_test = data.size(options.split) > 0, supervised = with_test && !data.classes().empty();
  all.measured = with_test ? options.split : Split::train;
  if (supervised || !with_test || has_nodes(data))
    all.train = encode_split(subjects, data, Split::train, options.batch_size, ranks, progress);
  if (with_test) all.test = encode_split(subjects, data, options.split, options.batch_size, ranks, progress);
  all.with_labels = supervised && all.train[0].label.defined() && all.test[0].label.defined();
  for (const Subject& subject : subjects) {
    all.views.emplace_back();
    if (options.geometry && subject.encode_pair)
      all.views.back() = encode_pairs(subject, data, all.measured, std::min(kPairs, data.size(all.measured)),
                                      options.batch_size, ranks, progress);
  }
  return all;
}

Nodes nodes_of(const Embedded& embedded, const Dataset& data, size_t subject, size_t place) {
  Nodes nodes;
  if (!has_nodes(data)) return nodes;
  nodes.label = data.node_labels();
  nodes.rows = embedded.train[subject].rows[place];
  const auto with_label = [&](Split split) {
    return data.nodes(split).masked_select(data.labels(split) >= 0);
  };
  nodes.train = with_label(Split::train);
  nodes.validation = with_label(Split::validation);
  nodes.measured = with_label(embedded.measured);
  return nodes;
}

// A measure without steps of its own: 0 of 1 before it, 1 of 1 after.
void in_one_step(const Measuring& of, const char* what, const std::function<void()>& measure) {
  of.report(what, 0, 1);
  measure();
  of.report(what, 1, 1);
}

bool can_cluster(const Measuring& of) { return of.bank.rows.defined() || of.nodes.rows.defined(); }

// Every measure that is asked for. Of headline measures the order of the calls is the order of the columns.
void measure_place(Measuring& of, const EvaluateOptions& options) {
  if (options.nodes.node_probe) measure_nodes(of, options.nodes);
  if (of.bank.rows.defined()) {
    in_one_step(of, "kNN", [&] { measure_knn(of, options.knn); });
    if (options.linear) measure_linear(of);
    if (options.class_frequency) measure_class_frequency(of);
  }
  if (options.clustering && can_cluster(of)) in_one_step(of, "clustering", [&] { measure_clustering(of); });
  if (options.geometry) in_one_step(of, "geometry", [&] { measure_geometry(of); });
}

std::string preparation_of(const Subject& from, const Subject& to) {
  return from.preparation == to.preparation ? from.preparation : from.preparation + "+" + to.preparation;
}

// What can only be measured between modalities, by their projections, which are of one space: each is
// searched for the samples of every other. These numbers head the tables.
void measure_between(const std::vector<Subject>& subjects, const Embedded& embedded, const Dataset& data,
                     const EvaluateOptions& options, Measuring& of) {
  const std::vector<Encodings>& all = embedded.rows();
  const Tensor groups = data.groups(embedded.measured);
  for (size_t a = 0; a < subjects.size(); ++a) {
    for (size_t b = 0; b < subjects.size(); ++b) {
      if (a == b) continue;
      const Tensor &queries = all[a].rows.back(), &candidates = all[b].rows.back();
      of.preparation = preparation_of(subjects[a], subjects[b]);
      const Search search{subjects[a].modality,
                          subjects[b].modality,
                          queries,
                          candidates,
                          groups.defined() ? Relevance{groups, groups, {}} : own_row(queries.size(0)),
                          groups.defined() ? "group" : ""};
      in_one_step(of, (search.name() + " retrieval").c_str(), [&] { measure_retrieval(of, search); });
      if (options.auc) in_one_step(of, (search.name() + " AUC").c_str(), [&] { measure_roc(of, search); });
      if (options.geometry && a < b) measure_gap(of, search.query, queries, search.candidate, candidates);
    }
  }
}

// Each modality that is no text, by the prompts of each that is.
void measure_zero_shots(const std::vector<Subject>& subjects, const Embedded& embedded, const Dataset& data,
                        const EvaluateOptions& options, Measuring& of) {
  const std::vector<Modality> modalities = data.modalities();
  const auto modality = [&](const Subject& subject) {
    const auto same = [&](const Modality& one) { return one.name == subject.modality; };
    return static_cast<size_t>(std::find_if(modalities.begin(), modalities.end(), same) - modalities.begin());
  };
  const std::vector<std::string> prompts = prompts_of(options.zero_shot, data);
  const auto classes = static_cast<int64_t>(data.classes().size());
  for (const Subject& texts : subjects) {
    if (modalities.at(modality(texts)).shape.kind != Kind::text) continue;
    const Tensor described = class_embeddings(
        encode_texts(texts, data, modality(texts), prompts, options.batch_size, of.ranks, of.progress),
        classes);
    for (size_t a = 0; a < subjects.size(); ++a) {
      if (modalities.at(modality(subjects[a])).shape.kind == Kind::text) continue;
      const Encodings& all = embedded.rows()[a];
      of.preparation = preparation_of(subjects[a], texts);
      const Relevance by_label{all.label, torch::arange(classes), {}};
      const Search search{subjects[a].modality, texts.modality, all.rows.back(), described, by_label, ""};
      in_one_step(of, (search.name() + " zero-shot").c_str(),
                  [&] { measure_zero_shot(of, search, prompts); });
    }
  }
}

}  // namespace

void EvaluateOptions::describe(Fields& fields) {
  knn.describe(fields);
  nodes.describe(fields);
  zero_shot.describe(fields);
  fields.flag("linear", linear, "fit a linear probe");
  fields.flag("class_frequency", class_frequency,
              "also accuracy on the classes with many, medium and few training samples");
  fields.flag(
      "clustering", clustering,
      "k-means of the test split, of a graph of all nodes, against the labels: NMI, ARI, accuracy, F1");
  fields.flag("geometry", geometry,
              "alignment, uniformity, effective rank, standard deviation per dimension");
  fields.flag("retrieval", retrieval,
              "of several modalities: each is searched for the samples of every other");
  fields.flag("auc", auc, "with retrieval: area under the ROC curve of all pairs");
  fields.flag("baselines", baselines, "foil ablate: also raw pixels and the untrained encoder");
  fields.integer("batch_size", batch_size, "samples encoded at once, on each rank", at_least(1));
  fields.integer("every_epochs", every_epochs,
                 "also kNN on a part of the data every so many epochs of training; 0 = never", at_least(0));
  fields.integer("online_samples", online_samples, "so many rows of each split at most while training",
                 at_least(1));
  fields.choice("split", split, {{"test", Split::test}, {"validation", Split::validation}},
                "what is measured; choices are made on validation");
  fields.texts("on", on, "what is measured: features (before the head), projections");
}

void EvaluateOptions::check() const {
  if (on.empty()) refuse("evaluate.on", "[]", "a list of one or both of \"features\", \"projections\"");
  for (const std::string& place : on) {
    if (std::find(kPlaces.begin(), kPlaces.end(), place) != kPlaces.end()) continue;
    throw Error("unknown entry '" + place + "' in evaluate.on." + known_names("entries", place, kPlaces),
                Exit::usage, "evaluate.on");
  }
  zero_shot.check();
  if (every_epochs > 0 && online_samples < knn.neighbours) {
    refuse("evaluate.online_samples", online_samples,
           "at least evaluate.neighbours = " + std::to_string(knn.neighbours));
  }
}

bool has_nodes(const Dataset& data) {
  const Tensor label = data.node_labels();
  return label.defined() && data.size(Split::train) == label.size(0);
}

void require_nodes(const EvaluateOptions& options, const Dataset& data) {
  if (options.nodes.node_probe && !has_nodes(data))
    refuse("evaluate.node_probe", "true", "false, as the samples are not all nodes of a graph with labels");
}

Encoded raw_pixels(const View& images) { return {images.data.to_dense().flatten(1), {}}; }

const char* name_of(Split split) {
  return split == Split::train ? "train" : split == Split::test ? "test" : "validation";
}

nlohmann::json evaluate(const std::vector<Subject>& subjects, const Dataset& data,
                        const EvaluateOptions& options, Ranks& ranks, const EvaluationProgress& progress,
                        SampleHits* hits) {
  torch::NoGradGuard no_grad;
  options.check();
  if (options.batch_size < 1) refuse("evaluate.batch_size", options.batch_size, "an integer >= 1");
  if (data.size(Split::train) == 0)
    fail(Exit::data, "evaluation: the data set has no samples in its train split.");
  require_nodes(options, data);
  std::vector<std::string> seen;
  for (const Subject& subject : subjects) seen.push_back(subject.modality);
  require_zero_shot(options.zero_shot, data, options.split, seen);
  const Embedded embedded = embed(subjects, data, options, ranks, progress);
  const bool several = subjects.size() > 1;
  nlohmann::json result = nlohmann::json::object();
  const auto measuring = [&](size_t m, size_t place) {
    Measuring of(ranks, progress, result);
    of.place = (several ? subjects[m].modality + "." : "") + kPlaces[place];
    of.preparation = subjects[m].preparation;
    of.classes = static_cast<int64_t>(data.classes().size());
    of.split = name_of(embedded.measured);
    of.rows = embedded.rows()[m].rows[place];
    of.nodes = nodes_of(embedded, data, m, place);
    if (embedded.with_labels) {
      of.bank = embedded.train[m].labelled(place);
      of.queries = embedded.test[m].labelled(place);
    }
    if (const std::vector<Tensor>& views = embedded.views[m]; !views.empty()) {
      of.first_view = views.at(place);
      of.second_view = views.at(views.size() / 2 + place);
      of.augmentation = subjects[m].augmentation;
    }
    return of;
  };
  for (size_t m = 0; m < subjects.size(); ++m) {
    const size_t places = embedded.rows()[m].rows.size();
    int64_t columns = 0;
    for (size_t place = 0; place < places; ++place) {
      if (std::find(options.on.begin(), options.on.end(), kPlaces[place]) == options.on.end()) continue;
      Measuring of = measuring(m, place);
      // The headline numbers are those of the features, of several modalities those between them.
      of.heads = place == 0 && !several;
      measure_place(of, options);
      columns += of.columns;
      for (const Accuracy& accuracy : of.accuracies)
        if (hits && of.heads) (*hits)[accuracy.name] = accuracy.hits;
    }
    if (!options.clustering || places < kPlaces.size()) continue;
    Measuring of = measuring(m, kPlaces.size() - 1);
    of.heads = !several;
    of.columns = columns;
    if (can_cluster(of)) measure_assignments(of, subjects[m].assignments);
  }
  if (!several) return result;
  Measuring between(ranks, progress, result);
  between.place = kPlaces.back();
  between.heads = true;
  between.split = name_of(embedded.measured);
  if (options.retrieval) measure_between(subjects, embedded, data, options, between);
  if (!options.zero_shot.templates.empty()) measure_zero_shots(subjects, embedded, data, options, between);
  return result;
}

nlohmann::json evaluate(const Subject& subject, const Dataset& data, const EvaluateOptions& options,
                        Ranks& ranks, const EvaluationProgress& progress) {
  return evaluate(std::vector{subject}, data, options, ranks, progress);
}

}  // namespace foil
