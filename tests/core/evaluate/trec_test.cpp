// SPDX-License-Identifier: BSD-3-Clause
// The lines of a run file.
#include "evaluate/trec.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <sstream>

namespace foil {
namespace {

const Tensor kQueries = torch::tensor({{2.0, 0.0}, {0.0, 1.0}});
const Tensor kCandidates = torch::tensor({{3.0, 4.0}, {-1.0, 0.0}, {4.0, 3.0}, {8.0, 6.0}});

std::string written(const Relevance& relevance, const TrecRun& run) {
  std::ostringstream out;
  write_trec_run(out, kQueries, kCandidates, relevance, run);
  return out.str();
}

Relevance no_groups(const Tensor& excluded = {}) {
  return {torch::full({2}, -1), torch::full({4}, -1), excluded};
}

TEST(TrecRun, ListsTheNearestCandidatesOfEachQuery) {
  // 0.8 and 0.6 as multiples of 2^-24.
  EXPECT_EQ(written(no_groups(), {{"q1", "q2"}, {"a", "b", "c", "d"}, "mine", 3}),
            "q1 Q0 c 1 0.800000011920929 mine\n"
            "q1 Q0 d 2 0.800000011920929 mine\n"
            "q1 Q0 a 3 0.6000000238418579 mine\n"
            "q2 Q0 a 1 0.800000011920929 mine\n"
            "q2 Q0 c 2 0.6000000238418579 mine\n"
            "q2 Q0 d 3 0.6000000238418579 mine\n");
}

TEST(TrecRun, LeavesOutExcludedPairsAndStopsWhereThereAreNoMore) {
  EXPECT_EQ(
      written(no_groups(torch::tensor({{0, 0, 0}, {2, 0, 2}})), {{"q1", "q2"}, {"a", "b", "c", "d"}, "x", 2}),
      "q1 Q0 d 1 0.800000011920929 x\n"
      "q1 Q0 b 2 -1 x\n"
      "q2 Q0 a 1 0.800000011920929 x\n"
      "q2 Q0 c 2 0.6000000238418579 x\n");
  const std::string all = written(no_groups(torch::tensor({{0}, {1}})), {{"q1", "q2"}, {"a", "b", "c", "d"}});
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 7);
}

TEST(TrecRun, RefusesIdsThatTheFormatCannotHold) {
  const auto message = [](const TrecRun& run) { return test::error_of([&] { written(no_groups(), run); }); };
  EXPECT_EQ(message({{"q1", "q 2"}, {"a", "b", "c", "d"}}),
            "5 TREC run: the query id 'q 2', allowed: not empty, no white space.");
  EXPECT_EQ(message({{"q1", "q2"}, {"a", "", "c", "d"}}),
            "5 TREC run: the candidate id '', allowed: not empty, no white space.");
  EXPECT_EQ(message({{"q1", "q2"}, {"a", "b", "c"}}), "1 TREC run: 3 ids for 4 candidate rows.");
  EXPECT_EQ(message({{"q1", "q2"}, {"a", "b", "c", "d"}, "my\trun"}),
            "5 TREC run: the tag 'my\\x09run', allowed: not empty, no white space.");
}

TEST(TrecRun, SaysWhenTheFileCannotBeWritten) {
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(test::error_of([&] {
              write_trec_run(out, kQueries, kCandidates, no_groups(), {{"q1", "q2"}, {"a", "b", "c", "d"}});
            }),
            "1 TREC run: the file could not be written.");
}

}  // namespace
}  // namespace foil
