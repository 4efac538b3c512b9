// SPDX-License-Identifier: BSD-3-Clause
// The votes of the nearest rows, counted on the CPU.
#include "evaluate/knn.h"

#include "evaluate/checks.h"
#include "evaluate/measuring.h"
#include "evaluate/neighbours.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {

namespace {

template <class E>
using Choices = std::initializer_list<std::pair<const char*, E>>;
constexpr Choices<Vote> kVotes = {{"weighted", Vote::weighted}, {"majority", Vote::majority}};
constexpr Choices<Similarity> kSimilarities = {{"cosine", Similarity::cosine}};

template <class E>
std::string name_of(E value, Choices<E> choices) {
  const auto is = [&](const auto& choice) { return choice.second == value; };
  return std::find_if(choices.begin(), choices.end(), is)->first;
}

// The class with the largest sum of votes; of equal sums the one met first, that is by the nearer neighbour.
int64_t voted_class(const double* similarity, const int64_t* row, const int64_t* label,
                    const KnnOptions& options, std::vector<double>& votes) {
  for (int64_t i = 0; i < options.neighbours; ++i) votes[static_cast<size_t>(label[row[i]])] = 0;
  for (int64_t i = 0; i < options.neighbours; ++i) {
    // Relative to the nearest: no overflow at low temperatures.
    votes[static_cast<size_t>(label[row[i]])] +=
        options.vote == Vote::weighted ? std::exp((similarity[i] - similarity[0]) / options.temperature)
                                       : 1.0;
  }
  int64_t best = label[row[0]];
  for (int64_t i = 1; i < options.neighbours; ++i) {
    if (votes[static_cast<size_t>(label[row[i]])] > votes[static_cast<size_t>(best)]) best = label[row[i]];
  }
  return best;
}

}  // namespace

void KnnOptions::describe(Fields& fields) {
  fields.integer("neighbours", neighbours, "kNN: how many neighbours vote", at_least(1));
  fields.number("temperature", temperature, "kNN: divides the similarities in the weight of a vote",
                above(0));
  fields.choice("vote", vote, kVotes, "kNN: exp(similarity / temperature), or one vote each");
  fields.choice("similarity", similarity, kSimilarities, "kNN: what makes a neighbour near");
}

Tensor knn_classes(const Tensor& bank, const Tensor& bank_labels, const Tensor& queries, int64_t classes,
                   const KnnOptions& options, Ranks& ranks, int64_t chunk_bytes) {
  torch::NoGradGuard no_grad;
  check_embeddings("kNN bank", bank);
  check_embeddings("kNN queries", queries);
  const Tensor bank_label = checked_labels("kNN bank", bank_labels, bank.size(0), classes);
  const int64_t k = options.neighbours;
  if (queries.size(1) != bank.size(1)) {
    fail(Exit::failure, "kNN: queries are ", queries.sizes(), " but the bank is ", bank.sizes(),
         "; last sizes must agree.");
  }
  if (k < 1 || k > bank.size(0)) {
    refuse("evaluate.neighbours", k,
           "1 to " + std::to_string(bank.size(0)) + ", the samples with a label in the train split");
  }
  const int64_t first = queries.size(0) * ranks.rank() / ranks.world_size();
  const int64_t last = queries.size(0) * (ranks.rank() + 1) / ranks.world_size();
  const Neighbours found = nearest_rows(bank, queries.narrow(0, first, last - first), k, chunk_bytes);
  const Tensor similarity = found.similarity.cpu(), row = found.row.cpu();
  std::vector<double> votes(static_cast<size_t>(classes));
  Tensor voted = torch::zeros({last - first}, torch::kLong);
  for (int64_t i = 0; i < voted.size(0); ++i)
    voted.mutable_data_ptr<int64_t>()[i] =
        voted_class(similarity.const_data_ptr<double>() + i * k, row.const_data_ptr<int64_t>() + i * k,
                    bank_label.const_data_ptr<int64_t>(), options, votes);
  return ranks.gather(voted.to(queries.device())).cpu();
}

double knn_accuracy(const Tensor& bank, const Tensor& bank_labels, const Tensor& queries,
                    const Tensor& query_labels, int64_t classes, const KnnOptions& options, Ranks& ranks,
                    int64_t chunk_bytes) {
  const Tensor voted = knn_classes(bank, bank_labels, queries, classes, options, ranks, chunk_bytes);
  const Tensor label = checked_labels("kNN queries", query_labels, queries.size(0), classes);
  return (voted == label).to(torch::kDouble).mean().item<double>();
}

void measure_knn(Measuring& of, const KnnOptions& options) {
  const Tensor voted =
      knn_classes(of.bank.rows, of.bank.label, of.queries.rows, of.classes, options, of.ranks);
  const std::string vote = name_of(options.vote, kVotes),
                    similarity = name_of(options.similarity, kSimilarities);
  const std::string weight =
      options.vote == Vote::weighted ? fmt::format("T{}-", options.temperature) : std::string();
  of.add_accuracy("knn", "kNN", voted,
                  of.learned_id(fmt::format("knn-{}-k{}-{}{}", similarity, options.neighbours, weight, vote)),
                  {{"neighbours", options.neighbours},
                   {"temperature", options.temperature},
                   {"vote", vote},
                   {"similarity", similarity}});
}

}  // namespace foil
