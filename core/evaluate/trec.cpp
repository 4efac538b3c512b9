// SPDX-License-Identifier: BSD-3-Clause
// Neighbours of a block of queries, as lines.
#include "evaluate/trec.h"

#include "evaluate/checks.h"
#include "evaluate/neighbours.h"
#include "run/text.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <iterator>
#include <ostream>

namespace foil {
namespace {

constexpr int64_t kBlock = 1024;  // queries

void check_id(const char* what, const std::string& id) {
  const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  if (!id.empty() && std::none_of(id.begin(), id.end(), blank)) return;
  fail(Exit::data, "TREC run: the ", what, " '", printable(id), "', allowed: not empty, no white space.");
}

void check_ids(const char* what, const std::vector<std::string>& ids, const Tensor& rows) {
  if (static_cast<int64_t>(ids.size()) != rows.size(0)) {
    fail(Exit::failure, "TREC run: ", ids.size(), " ids for ", rows.size(0), " ", what, " rows.");
  }
  for (const std::string& id : ids) check_id((std::string(what) + " id").c_str(), id);
}

}  // namespace

void write_trec_run(std::ostream& out, const Tensor& queries, const Tensor& candidates,
                    const Relevance& relevance, const TrecRun& run, int64_t chunk_bytes) {
  torch::NoGradGuard no_grad;
  check_embeddings("TREC run, queries", queries);
  check_embeddings("TREC run, candidates", candidates);
  if (queries.size(1) != candidates.size(1)) {
    fail(Exit::failure, "TREC run: queries are ", queries.sizes(), " but candidates are ", candidates.sizes(),
         "; last sizes must agree.");
  }
  check_ids("query", run.queries, queries);
  check_ids("candidate", run.candidates, candidates);
  check_id("tag", run.tag);
  if (run.depth < 1) fail(Exit::failure, "TREC run: depth ", run.depth, ", allowed: 1 or more.");
  const int64_t count = queries.size(0);
  const RelevantRows relevant(relevance, count, candidates.size(0));
  const int64_t wanted = std::min(run.depth, candidates.size(0)) + relevant.most_excluded();
  for (int64_t q = 0; q < count; q += kBlock) {
    const Neighbours found =
        nearest_rows(candidates, queries.narrow(0, q, std::min(kBlock, count - q)), wanted, chunk_bytes);
    const Tensor similarity = found.similarity.cpu(), row = found.row.cpu();
    const int64_t width = row.size(1);
    std::string lines;
    for (int64_t i = 0; i < row.size(0); ++i) {
      const auto excluded = relevant.excluded(q + i);
      int64_t rank = 0;
      for (int64_t j = i * width; j < (i + 1) * width && rank < run.depth; ++j) {
        const int64_t candidate = row.const_data_ptr<int64_t>()[j];
        if (std::binary_search(excluded.begin(), excluded.end(), candidate)) continue;
        fmt::format_to(std::back_inserter(lines), "{} Q0 {} {} {} {}\n",
                       run.queries[static_cast<size_t>(q + i)],
                       run.candidates[static_cast<size_t>(candidate)], ++rank,
                       similarity.const_data_ptr<double>()[j], run.tag);
      }
    }
    out << lines;
  }
  out.flush();
  if (!out) fail(Exit::failure, "TREC run: the file could not be written.");
}

}  // namespace foil
