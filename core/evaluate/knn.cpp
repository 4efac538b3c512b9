// SPDX-License-Identifier: BSD-3-Clause
// Tiles of exact similarities, the k best of each tile merged into the k best so far, votes on the CPU.
#include "evaluate/knn.h"

#include "evaluate/checks.h"
#include "evaluate/measuring.h"

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

struct Neighbours {
  Tensor similarity;  // [C, k] fp64, nearest first
  Tensor row;         // [C, k] int64, rows of the bank
};

Tensor exact_unit_rows(const Tensor& x) { return unit_rows(x).mul_(0x1p24).round_().mul_(0x1p-24); }

// The k largest of each row (all when there are fewer): larger first, of equal ones the lower column first.
Neighbours largest(const Tensor& similarity, int64_t k) {
  const int64_t columns = similarity.size(1);
  k = std::min(k, columns);
  auto [value, column] = similarity.topk(std::min(k + 1, columns), 1);
  if (k < columns) {  // topk takes any of those that tie for the last place
    const Tensor tied = (value.select(1, k - 1) == value.select(1, k)).nonzero().squeeze(1);
    value = value.narrow(1, 0, k);
    column = column.narrow(1, 0, k);
    if (tied.numel() > 0) {
      const Tensor rows = similarity.index_select(0, tied);
      const Tensor last = value.index_select(0, tied).narrow(1, k - 1, 1);
      const Tensor above = rows > last, equal = rows == last;
      const Tensor taken = above | (equal & (equal.cumsum(1, torch::kInt) <= k - above.sum(1, true)));
      const Tensor columns_taken = taken.nonzero().select(1, 1).view({-1, k});
      column.index_copy_(0, tied, columns_taken);
      value.index_copy_(0, tied, rows.gather(1, columns_taken));
    }
  }
  const auto [ascending, to_ascending] = column.sort(1);
  const auto [sorted, order] = value.gather(1, to_ascending).sort(/*stable=*/true, 1, /*descending=*/true);
  return {sorted, ascending.gather(1, order)};
}

// `later` holds higher rows than `best`, so a stable sort keeps the lower row first.
Neighbours merge(const Neighbours& best, const Neighbours& later, int64_t k) {
  auto [similarity, order] =
      torch::cat({best.similarity, later.similarity}, 1).sort(/*stable=*/true, 1, /*descending=*/true);
  const Tensor row = torch::cat({best.row, later.row}, 1).gather(1, order);
  k = std::min(k, row.size(1));
  return {similarity.narrow(1, 0, k), row.narrow(1, 0, k)};
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

Tensor knn_hits(const Tensor& bank, const Tensor& bank_labels, const Tensor& queries,
                const Tensor& query_labels, int64_t classes, const KnnOptions& options, Ranks& ranks,
                int64_t chunk_bytes) {
  torch::NoGradGuard no_grad;
  check_embeddings("kNN bank", bank);
  check_embeddings("kNN queries", queries);
  const Tensor bank_label = checked_labels("kNN bank", bank_labels, bank.size(0), classes);
  const Tensor query_label = checked_labels("kNN queries", query_labels, queries.size(0), classes);
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
  // block x tile similarities, and tile x F unit rows, fill chunk_bytes.
  const int64_t block =
      std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(static_cast<double>(chunk_bytes) / 64)));
  const int64_t tile = std::clamp<int64_t>(chunk_bytes / 8 / bank.size(1), 1, 8 * block);

  std::vector<Neighbours> best;  // of each block of queries
  for (int64_t b = 0; b < bank.size(0); b += tile) {
    const Tensor rows = exact_unit_rows(bank.narrow(0, b, std::min(tile, bank.size(0) - b))).t();  // [F, T]
    for (int64_t q = first; q < last; q += block) {
      Neighbours found =
          largest(exact_unit_rows(queries.narrow(0, q, std::min(block, last - q))).mm(rows), k);
      found.row += b;
      if (b == 0) {
        best.push_back(found);
      } else {
        Neighbours& before = best[static_cast<size_t>((q - first) / block)];
        before = merge(before, found, k);
      }
    }
  }

  std::vector<double> votes(static_cast<size_t>(classes));
  Tensor hits = torch::zeros({last - first}, torch::kBool);
  int64_t query = first;
  for (const Neighbours& part : best) {
    const Tensor similarity = part.similarity.cpu().contiguous(), row = part.row.cpu().contiguous();
    for (int64_t i = 0; i < row.size(0); ++i, ++query) {
      const int64_t voted =
          voted_class(similarity.const_data_ptr<double>() + i * k, row.const_data_ptr<int64_t>() + i * k,
                      bank_label.const_data_ptr<int64_t>(), options, votes);
      hits.mutable_data_ptr<bool>()[query - first] = voted == query_label.const_data_ptr<int64_t>()[query];
    }
  }
  return ranks.gather(hits.to(queries.device())).cpu();
}

double knn_accuracy(const Tensor& bank, const Tensor& bank_labels, const Tensor& queries,
                    const Tensor& query_labels, int64_t classes, const KnnOptions& options, Ranks& ranks,
                    int64_t chunk_bytes) {
  const Tensor hits =
      knn_hits(bank, bank_labels, queries, query_labels, classes, options, ranks, chunk_bytes);
  return hits.to(torch::kDouble).mean().item<double>();
}

void measure_knn(Measuring& of, const KnnOptions& options) {
  const Tensor hits =
      knn_hits(of.bank.rows, of.bank.label, of.queries.rows, of.queries.label, of.classes, options, of.ranks);
  const std::string vote = name_of(options.vote, kVotes),
                    similarity = name_of(options.similarity, kSimilarities);
  const std::string weight =
      options.vote == Vote::weighted ? fmt::format("T{}-", options.temperature) : std::string();
  of.add_accuracy("knn", "kNN", hits,
                  of.learned_id(fmt::format("knn-{}-k{}-{}{}", similarity, options.neighbours, weight, vote)),
                  {{"neighbours", options.neighbours},
                   {"temperature", options.temperature},
                   {"vote", vote},
                   {"similarity", similarity}});
}

}  // namespace foil
