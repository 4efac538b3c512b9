// SPDX-License-Identifier: BSD-3-Clause
// What a measure says of itself, from where it is measured to results.json and back.
#include "evaluate/measure.h"

#include "evaluate/results.h"

#include <foil/error.h>

#include <gtest/gtest.h>

namespace foil {
namespace {

const Measure kMrr{"MRR", "", 3, Better::higher, true, 1};
const Measure kRank{"median rank", "places", 0, Better::lower, true, 2};

// The message for an entry whose field is another.
std::string message_of(const char* field, const nlohmann::json& value) {
  nlohmann::json entry = entry_of(kMrr, 0.784, "mrr/v1");
  entry[field] = value;
  try {
    measure_of(entry);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Measure, IsReadBackFromItsEntry) {
  for (const Measure& measure : {kMrr, kRank, Measure{"rank", "", 1, Better::neither}}) {
    const nlohmann::json entry = entry_of(measure, 0.5, "mrr/v1");
    EXPECT_EQ(entry.at("value"), 0.5);
    EXPECT_EQ(entry.at("protocol"), "mrr/v1");
    const Measure read = measure_of(entry).value();
    EXPECT_EQ(read.title, measure.title);
    EXPECT_EQ(read.unit, measure.unit);
    EXPECT_EQ(read.digits, measure.digits);
    EXPECT_EQ(read.better, measure.better);
    EXPECT_EQ(read.headline, measure.headline);
    EXPECT_EQ(read.column, measure.column);
  }
}

TEST(Measure, OfAnEntryThatSaysNothingIsNotGuessed) {
  EXPECT_FALSE(measure_of({{"value", 84.5}, {"unit", "%"}, {"protocol", "p"}}).has_value());
  EXPECT_FALSE(measure_of(84.5).has_value());
}

TEST(Measure, NamesAFieldThatIsDamaged) {
  EXPECT_EQ(message_of("digits", 16), "digits is 16, allowed: an integer from 0 to 15");
  EXPECT_EQ(message_of("digits", 1e300), "digits is 1e+300, allowed: an integer from 0 to 15");
  EXPECT_EQ(message_of("column", -1), "column is -1, allowed: an integer from 0 to 2147483647");
  EXPECT_EQ(message_of("better", "lowr"),
            "better is 'lowr'. Known directions: neither, higher, lower. Did you mean 'lower'?");
  EXPECT_THROW(measure_of({{"title", 7}}), nlohmann::json::exception);
}

TEST(Measure, ShowsItsNumberWithItsDigitsAndItsDirection) {
  EXPECT_EQ(value_text(kMrr, 0.78449), "0.784");
  EXPECT_EQ(value_text(kRank, 12.6), "13");
  EXPECT_EQ(difference_text(kMrr, -0.0123), "-0.012");
  EXPECT_EQ(heading(kMrr), "MRR");
  EXPECT_EQ(heading(kRank), "median rank places ↓");
  EXPECT_TRUE(is_better(kMrr, 0.8, 0.7));
  EXPECT_TRUE(is_better(kRank, 3, 4));
  EXPECT_FALSE(is_better(kRank, 4, 4));
  EXPECT_FALSE(is_better({}, 1, 0) || is_better({}, 0, 1));
}

TEST(Measure, OfAnOldRecordIsKnownForKnnAndTheLinearProbe) {
  EXPECT_EQ(heading(measure_of_old("knn")), "kNN %");
  EXPECT_EQ(heading(measure_of_old("linear_few")), "linear few %");
  EXPECT_LT(measure_of_old("linear").column, measure_of_old("knn_many").column);
  EXPECT_FALSE(measure_of_old("features.alignment").headline);
  EXPECT_EQ(heading(measure_of_old("features.alignment")), "features.alignment");
}

TEST(Results, TakeTheHeadlineNamesAndTheProtocolFromTheEntries) {
  nlohmann::json measured = {{"features.mrr", entry_of(kMrr, 0.784, "mrr/v1")},
                             {"features.rank", entry_of(kRank, 3, "median-rank/v1")},
                             {"features.rank_few", entry_of(kRank, 5, "median-rank/v1/few")},
                             {"projections.mrr", entry_of({"projections MRR", "", 3}, 0.6, "mrr/z/v1")}};
  measured["features.mrr"].update({{"metric", "mrr"}, {"column", 2}});
  measured["features.rank"].update({{"metric", "rank"}, {"column", 1}});
  measured["features.rank_few"].update({{"metric", "rank_few"}, {"column", 3}, {"part_of", "rank"}});
  const nlohmann::json results = results_of({"pairs", "crc32:1"}, measured, 20, 1.5);
  EXPECT_EQ(results["metrics"],
            nlohmann::json({{"mrr", 0.784}, {"rank", 3.0}, {"rank_few", 5.0}, {"projections.mrr", 0.6}}));
  EXPECT_EQ(results["protocol"], "pairs median-rank/v1 mrr/v1");
  EXPECT_EQ(results["data"], "crc32:1");
  EXPECT_EQ(results["measured"], measured);
  EXPECT_EQ(results["step"], 20);
  EXPECT_EQ(results["loss"], 1.5);
  testing::internal::CaptureStdout();
  print_results(results);
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_NE(text.find("mrr                          0.784\n"), std::string::npos) << text;
  EXPECT_NE(text.find("rank                         3\n"), std::string::npos) << text;
  EXPECT_FALSE(results_of({"pairs", ""}, measured, 20, {}).contains("data"));
}

TEST(Results, NameAProtocolOfSeveralHeadlinesOnce) {
  nlohmann::json measured = {{"z.mrr", entry_of(kMrr, 0.5, "search/v1")},
                             {"z.rank", entry_of(kRank, 3, "search/v1")}};
  EXPECT_EQ(results_of({"pairs", ""}, measured, 20, {})["protocol"], "pairs search/v1");
}

}  // namespace
}  // namespace foil
