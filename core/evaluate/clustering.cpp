// SPDX-License-Identifier: BSD-3-Clause
// Agreement from the table of how often two clusters meet.
#include "evaluate/clustering.h"

#include "evaluate/matching.h"
#include "evaluate/measuring.h"
#include "evaluate/node_probe.h"

#include <foil/cluster.h>
#include <foil/error.h>

#include <fmt/format.h>
#include <torch/types.h>

namespace foil {
namespace {

// How many samples have each pair of ids: [clusters of a, clusters of b], fp64.
Tensor meetings(const Tensor& a, const Tensor& b) {
  if (a.dim() != 1 || a.sizes() != b.sizes() || a.size(0) == 0) {
    fail(Exit::failure, "agreement of partitions of ", a.sizes(), " and ", b.sizes(),
         " samples; allowed: two of one size, not empty.");
  }
  const Tensor row = std::get<1>(at::_unique(a, true, true)),
               column = std::get<1>(at::_unique(b, true, true));
  const int64_t rows = row.max().item<int64_t>() + 1, columns = column.max().item<int64_t>() + 1;
  return (row * columns + column).bincount({}, rows * columns).view({rows, columns}).to(torch::kDouble);
}

double entropy(const Tensor& p) { return -torch::xlogy(p, p).sum().item<double>(); }
double pairs(const Tensor& counts) { return (counts * (counts - 1)).sum().item<double>() / 2; }

// What is clustered: the samples with a label of the split that is measured, of a graph all such nodes.
struct Clustered {
  Tensor rows, label;
  std::string split;
};

Clustered clustered(const Measuring& of) {
  if (!of.nodes.rows.defined()) return {of.queries.rows, of.queries.label, of.split};
  const Tensor known = (of.nodes.label >= 0).nonzero().squeeze(1);
  return {of.nodes.rows.index_select(0, known.to(of.nodes.rows.device())),
          of.nodes.label.index_select(0, known), "nodes"};
}

// Accuracy, NMI, ARI and F1 of a partition. `name` and `title` lead theirs, `end` ends their names.
void add_agreement(Measuring& of, const Clustered& all, const Tensor& cluster, bool headline,
                   const std::string& name, const std::string& title, const std::string& end,
                   const std::string& how) {
  const F1 f1 = f1_scores(classes_of_clusters(cluster, all.label), all.label, of.classes);
  const auto add = [&](const char* what, Measure measure, double value, const char* protocol) {
    measure.title = title + measure.title;
    measure.headline = headline;
    of.add(name + what + end, measure, value, of.id(protocol + how, all.split, all.rows.size(0)));
  };
  add("cluster_accuracy", {"cluster accuracy", "%", 1, Better::higher}, 100 * f1.micro, "matched-accuracy-");
  add("nmi", {"NMI", "", 3, Better::higher}, normalized_mutual_information(cluster, all.label), "nmi-");
  add("ari", {"ARI", "", 3, Better::higher}, adjusted_rand_index(cluster, all.label), "ari-");
  add("cluster_f1", {"cluster macro-F1", "%", 1, Better::higher}, 100 * f1.macro, "matched-macro-f1-");
}

}  // namespace

double normalized_mutual_information(const Tensor& a, const Tensor& b) {
  const Tensor joint = meetings(a, b) / static_cast<double>(a.size(0));
  const double of_a = entropy(joint.sum(1)), of_b = entropy(joint.sum(0));
  return of_a + of_b == 0 ? 1 : std::max(0.0, 2 * (of_a + of_b - entropy(joint)) / (of_a + of_b));
}

double adjusted_rand_index(const Tensor& a, const Tensor& b) {
  const Tensor table = meetings(a, b);
  const double samples = static_cast<double>(a.size(0));
  const double together = pairs(table), in_a = pairs(table.sum(1)), in_b = pairs(table.sum(0));
  const double chance = samples > 1 ? in_a * in_b / (samples * (samples - 1) / 2) : 0,
               most = (in_a + in_b) / 2;
  return most == chance ? 1 : (together - chance) / (most - chance);
}

Tensor classes_of_clusters(const Tensor& cluster, const Tensor& label) {
  const int64_t rows = cluster.max().item<int64_t>() + 1, columns = label.max().item<int64_t>() + 1;
  const Tensor table = (cluster * columns + label).bincount({}, rows * columns).view({rows, columns});
  return best_matching(table.to(torch::kDouble)).index_select(0, cluster);
}

void measure_clustering(Measuring& of) {
  const KMeansOptions options;
  const Clustered all = clustered(of);
  const Tensor cluster =
      k_means(all.rows, std::min(of.classes, all.rows.size(0)), options, of.ranks).cluster.cpu();
  add_agreement(of, all, cluster, false, "", "", "",
                fmt::format("kmeans-cosine-k{}-restarts{}-iterations{}-seed{}", of.classes, options.restarts,
                            options.max_iterations, options.seed));
}

void measure_assignments(Measuring& of,
                         const std::vector<std::function<Tensor(const Tensor&)>>& assignments) {
  const Clustered all = clustered(of);
  int64_t found = 0;
  for (const auto& clusters : assignments) {
    const Tensor cluster = clusters(all.rows);
    if (!cluster.defined()) continue;
    add_agreement(of, all, cluster.cpu(), true, "assigned_", "assigned ",
                  ++found == 1 ? "" : fmt::format("_{}", found), "assigned-by-loss");
  }
}

}  // namespace foil
