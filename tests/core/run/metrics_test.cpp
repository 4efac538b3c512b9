// SPDX-License-Identifier: BSD-3-Clause
// metrics.jsonl: exact numbers, exact truncation.
#include "run/metrics.h"

#include "run/json.h"
#include "run_test.h"

#include <cmath>
#include <limits>

namespace foil {
namespace {

TEST(Metrics, ReadsBackEveryNumberBitForBit) {
  const TempFolder scratch;
  Metrics metrics(scratch / "m.jsonl", -1);
  metrics.write({{"step", 1}, {"loss", 0.1 + 0.2}, {"tiny", 5e-324}});
  metrics.write({{"step", 2}, {"loss", std::nan("")}, {"top", -std::numeric_limits<double>::infinity()}});
  metrics.flush();
  const std::vector<nlohmann::json> rows = read_metrics(scratch / "m.jsonl");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["loss"].get<double>(), 0.1 + 0.2);
  EXPECT_EQ(rows[0]["tiny"].get<double>(), 5e-324);
  EXPECT_TRUE(std::isnan(json_number(rows[1]["loss"])));
  EXPECT_EQ(json_number(rows[1]["top"]), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(read_file(scratch / "m.jsonl").substr(0, 10), "{\"loss\":0.");
}

TEST(Metrics, ARowIsOnDiskAsSoonAsItIsWritten) {
  const TempFolder scratch;
  EXPECT_EQ(exit_code_of_child([&] {
              Metrics metrics(scratch / "m.jsonl", -1);
              metrics.write({{"step", 7}});
              ::raise(SIGKILL);
              return 0;
            }),
            -SIGKILL);
  EXPECT_EQ(read_metrics(scratch / "m.jsonl").at(0)["step"], 7);
}

TEST(Metrics, ResumeDropsLaterRowsAndTheTornLineAndKeepsTheOthersBytes) {
  const TempFolder scratch;
  const std::string kept = "{\"step\": 1,  \"loss\": 2.50}\n{\"step\":3}\n{\"step\":2,\"kind\":\"late\"}\n";
  write_plainly(scratch / "m.jsonl", kept + "{\"step\":4}\n{\"step\":5}\n{\"step\":2,\"lo");
  Metrics metrics(scratch / "m.jsonl", 3);
  EXPECT_EQ(read_file(scratch / "m.jsonl"), kept);
  metrics.write({{"step", 4}});
  EXPECT_EQ(read_file(scratch / "m.jsonl"), kept + "{\"step\":4}\n");
}

TEST(Metrics, ResumeForgivesATornLineBehindTheRowsThatStayOnly) {
  const TempFolder scratch;
  write_plainly(scratch / "m.jsonl",
                std::string("{\"step\":1}\n") + std::string("\0\0\0\n", 4) + "{\"step\":2}\n");
  EXPECT_TRUE(error_of([&] {
                Metrics(scratch / "m.jsonl", 2);
              }).starts_with("5 " + (scratch / "m.jsonl:2: not JSON: ")));
  Metrics(scratch / "m.jsonl", 1);
  EXPECT_EQ(read_file(scratch / "m.jsonl"), "{\"step\":1}\n");
}

TEST(Metrics, CountsTheRowsThatStayedAndThoseWrittenSince) {
  const TempFolder scratch;
  write_plainly(scratch / "m.jsonl", "{\"step\":1}\n{\"step\":2}\n{\"step\":4}\n");
  Metrics metrics(scratch / "m.jsonl", 2);
  EXPECT_EQ(metrics.rows(), 2);
  EXPECT_EQ(metrics.kept(), (std::vector<int64_t>{1, 2}));
  metrics.write({{"step", 3}});
  EXPECT_EQ(metrics.rows(), 3);
}

TEST(Metrics, NameTheStepsWithoutARowAsRanges) {
  using Ranges = std::vector<StepRange>;
  EXPECT_EQ(steps_without_rows({2, 8, 6, 7}, 2, 13), (Ranges{{4, 4}, {10, 12}}));
  EXPECT_EQ(steps_without_rows({}, 1, 3), (Ranges{{1, 3}}));
  EXPECT_EQ(steps_without_rows({1, 2, 3}, 1, 3), Ranges());
  EXPECT_EQ(steps_without_rows({}, 5, 4), Ranges());
}

TEST(Metrics, ABeginningDropsEverything) {
  const TempFolder scratch;
  write_plainly(scratch / "m.jsonl", "{\"step\":0}\n{\"step\":1}\n");
  Metrics(scratch / "m.jsonl", -1);
  EXPECT_EQ(read_file(scratch / "m.jsonl"), "");
}

TEST(Metrics, RefusesARowWithoutAnIntegerStep) {
  const TempFolder scratch;
  Metrics metrics(scratch / "m.jsonl", -1);
  EXPECT_EQ(error_of([&] {
              metrics.write({{"step", 1.5}});
            }),
            "1 " + (scratch / "m.jsonl") + ": a row needs an integer \"step\", got {\"step\":1.5}");
  EXPECT_EQ(error_of([&] { metrics.write(nlohmann::json::array()); }),
            "1 " + (scratch / "m.jsonl") + ": a row needs an integer \"step\", got []");
  EXPECT_EQ(read_file(scratch / "m.jsonl"), "");
}

TEST(Metrics, AReaderLeavesOutTheLineThatIsBeingWrittenAndNamesADamagedOne) {
  const TempFolder scratch;
  write_plainly(scratch / "m.jsonl", "{\"step\":1}\n{\"step\":2}");
  EXPECT_EQ(read_metrics(scratch / "m.jsonl").size(), 1u);
  write_plainly(scratch / "m.jsonl", "{\"step\":1}\n{\"loss\":2}\n");
  EXPECT_EQ(error_of([&] { read_metrics(scratch / "m.jsonl"); }),
            "5 " + (scratch / "m.jsonl:2: a row needs an integer \"step\""));
}

}  // namespace
}  // namespace foil
