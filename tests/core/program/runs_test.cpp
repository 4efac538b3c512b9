// SPDX-License-Identifier: BSD-3-Clause
// Run folders as files written by hand: which are found, and what is said of each.
#include "program/runs.h"

#include "run/holder.h"
#include "tests/support/error_of.h"
#include "tests/support/temp_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace foil {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TempFolder;

std::string results(double knn, const std::string& protocol = "knn20", const std::string& data = "crc32:1") {
  return R"({"protocol": ")" + protocol + R"(", "data": ")" + data +
         R"(", "metrics": {"features.std": 0.1, "knn": )" + std::to_string(knn) +
         R"(, "linear": 90}, "step": 20})";
}

std::string status(const std::string& state, const std::string& utc, const std::string& reason = "") {
  return R"({"state": ")" + state + R"(", "step": 7, "utc": ")" + utc + R"(", "reason": ")" + reason +
         "\"}\n";
}

void write_run(const TempFolder& place, const std::string& name, const std::string& utc, double knn,
               const std::string& protocol = "knn20", const std::string& data = "crc32:1") {
  place.write(name + "/config.resolved.toml", "[run]\nseed = 3\n\n[[loss]]\nname = \"dcl\"\n");
  place.write(name + "/status", status("finished", utc));
  place.write(name + "/results.json", results(knn, protocol, data));
}

std::vector<std::string> names(const TempFolder& place, const FoundRuns& found) {
  std::vector<std::string> all;
  for (const FoundRun& run : found.runs) all.push_back(run.folder.substr(place.path().size() + 1));
  return all;
}
std::vector<std::string> left_out(const TempFolder& place, const FoundRuns& found) {
  std::vector<std::string> all;
  for (const std::string& text : found.left_out) all.push_back(text.substr(place.path().size() + 1));
  return all;
}

TEST(FoundRuns, AreThoseAtAnyDepthTheNewestFirst) {
  const TempFolder place;
  write_run(place, "alone", "2026-03-01T00:00:00Z", 80);
  write_run(place, "study/dcl-seed0", "2026-05-01T00:00:00Z", 81);
  write_run(place, "a/b/c", "2026-04-01T00:00:00Z", 82);
  place.write("alone/inner/status", status("finished", "2026-06-01T00:00:00Z"));  // in a run, so none
  const FoundRuns found = find_runs(place.path());
  EXPECT_EQ(names(place, found), (std::vector<std::string>{"study/dcl-seed0", "a/b/c", "alone"}));
  EXPECT_TRUE(found.left_out.empty());
  EXPECT_EQ(find_runs(place.path() + "/alone/").runs.at(0).folder, place.path() + "/alone");
}

TEST(FoundRuns, TellStateStepHeadlineExperimentTimeAndSize) {
  const TempFolder place;
  write_run(place, "run", "2026-03-01T00:00:00Z", 80.5);
  place.write("run/checkpoints/step-00000012.safetensors", std::string(1000, 'x'));
  place.write("run/checkpoints/step-00000012.json", "{}");
  const FoundRun run = find_runs(place.path()).runs.at(0);
  EXPECT_EQ(run.state, "finished");
  EXPECT_EQ(run.remark, "");
  EXPECT_EQ(run.step, 20);
  EXPECT_EQ(run.changed, 1772323200);
  EXPECT_EQ(run.experiment.at("loss.name"), "\"dcl\"");
  const Headline headline = headline_of(run.results.value()).value();
  EXPECT_EQ(headline.metric, "knn") << "the first column of the headline measures";
  EXPECT_EQ(headline.value, 80.5);
  uint64_t bytes = 0;
  for (const auto& file : fs::recursive_directory_iterator(place / "run"))
    if (file.is_regular_file()) bytes += file.file_size();
  EXPECT_GT(bytes, 1000u);
  EXPECT_EQ(run.bytes, static_cast<int64_t>(bytes));
}

TEST(FoundRuns, SayWhoWorksInOneAndWhichWasKilled) {
  const TempFolder place;
  for (const std::string name : {"held", "killed"}) {
    place.write(name + "/status", status("running", "2026-03-01T00:00:00Z"));
    place.write(name + "/checkpoints/step-00000012.json", "{}");
  }
  place.write("held/lock", record_of(this_process()));
  Holder dead = this_process();
  dead.start += "0";  // this number was given to another process before
  place.write("killed/lock", record_of(dead));
  FoundRuns found = find_runs(place.path());
  std::sort(found.runs.begin(), found.runs.end(),
            [](const auto& a, const auto& b) { return a.folder < b.folder; });
  ASSERT_EQ(names(place, found), (std::vector<std::string>{"held", "killed"}));
  EXPECT_EQ(found.runs[0].state, "running");
  EXPECT_EQ(found.runs[0].remark, text_of(this_process()));
  EXPECT_EQ(found.runs[0].step, 12) << "of the newest checkpoint";
  EXPECT_EQ(found.runs[1].state, "killed");
}

TEST(FoundRuns, OfFailedOnesTellTheReasonAndNoNumber) {
  const TempFolder place;
  write_run(place, "run", "2026-03-01T00:00:00Z", 80.5);
  place.write("run/status", status("failed", "2026-03-01T00:00:00Z", "loss is nan"));
  const FoundRun run = find_runs(place.path()).runs.at(0);
  EXPECT_EQ(run.state, "failed");
  EXPECT_EQ(run.remark, "loss is nan");
  EXPECT_FALSE(run.results.has_value());
}

TEST(FoundRuns, AreListedWithWhatOfThemIsDamaged) {
  const TempFolder place;
  write_run(place, "config", "2026-03-03T00:00:00Z", 80);
  place.write("config/config.resolved.toml", "[run\n");
  write_run(place, "results", "2026-03-02T00:00:00Z", 80);
  place.write("results/results.json", "{\"protocol\": ");
  write_run(place, "status", "2026-03-01T00:00:00Z", 80);
  place.write("status/status", std::string(100000, '['));
  place.write("begun/config.resolved.toml", "");
  place.write("fifo/config.resolved.toml", "[run]\nseed = 1\n");
  ASSERT_EQ(::mkfifo((place / "fifo/status").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((place / "fifo/lock").c_str(), 0600), 0);
  std::map<std::string, FoundRun> runs;
  for (const FoundRun& run : find_runs(place.path()).runs) runs[fs::path(run.folder).filename()] = run;
  ASSERT_EQ(runs.size(), 5u);
  EXPECT_EQ(runs["config"].remark.find("config.resolved.toml:1:"), 0u) << runs["config"].remark;
  EXPECT_TRUE(runs["config"].results.has_value());
  EXPECT_EQ(runs["results"].remark.find("results.json: not JSON: "), 0u) << runs["results"].remark;
  EXPECT_EQ(runs["results"].state, "finished");
  EXPECT_EQ(runs["status"].remark, "status: nested deeper than 100");
  EXPECT_EQ(runs["status"].state, "finished") << "as there are results";
  EXPECT_EQ(runs["begun"].state, "unfinished");
  EXPECT_EQ(runs["fifo"].remark, "status: is not a regular file");
}

TEST(FoundRuns, LeaveOutWhatIsNoRunAndSaySo) {
  const TempFolder place;
  write_run(place, "study/seed0", "2026-03-01T00:00:00Z", 80);
  write_run(place, "study/seed0.old-20260101T000000Z", "2026-01-01T00:00:00Z", 80);
  place.write("study/study.sqlite", "");
  place.write("study/baselines/raw-pixels/results.json", results(70));
  place.write("study/claims/seed0/1", "");
  place.write("notes/deep/deeper/text.md", "");
  place.write("records/study.sqlite", "");
  fs::create_directory_symlink(place / "study", place / "link");
  fs::create_directory_symlink(place.path(), place / "study/circle");
  const FoundRuns found = find_runs(place.path());
  EXPECT_EQ(names(place, found), (std::vector<std::string>{"study/seed0"}));
  std::vector<std::string> others = left_out(place, found);
  std::sort(others.begin(), others.end());
  EXPECT_EQ(others, (std::vector<std::string>{
                        "link: a link", "notes: no run", "records: a study without the folders of its trials",
                        "study/circle: a link", "study/seed0.old-20260101T000000Z: kept aside"}));
}

TEST(FoundRuns, OfAFolderThatIsNotThereAreAnError) {
  EXPECT_EQ(error_of([] { find_runs("/no/such"); }), "5 /no/such: no such folder");
}

TEST(BestRuns, AreOfEachDataSetAndProtocolByItsHeadline) {
  const TempFolder place;
  write_run(place, "a", "2026-03-05T00:00:00Z", 80);
  write_run(place, "b", "2026-03-04T00:00:00Z", 82);
  write_run(place, "c", "2026-03-03T00:00:00Z", 82);  // no better, and older
  write_run(place, "other-protocol", "2026-03-02T00:00:00Z", 99, "knn5");
  write_run(place, "other-data", "2026-03-01T00:00:00Z", 70, "knn20", "crc32:2");
  place.write("unfinished/status", status("interrupted", "2026-03-09T00:00:00Z"));
  const FoundRuns found = find_runs(place.path());
  std::vector<const FoundRun*> all;
  for (const FoundRun& run : found.runs) all.push_back(&run);
  std::vector<std::string> best;
  for (const BestRun& one : best_runs(all))
    best.push_back(fs::path(one.run->folder).filename().string() + " of " + std::to_string(one.of));
  EXPECT_EQ(best, (std::vector<std::string>{"b of 3", "other-protocol of 1", "other-data of 1"}));
}

TEST(BestRuns, AreTheLowestWhereLowerIsBetterAndNoneWhereNothingIs) {
  const TempFolder place;
  const auto write = [&](const std::string& name, double value, const std::string& better) {
    place.write(name + "/status", status("finished", "2026-03-01T00:00:00Z"));
    place.write(name + "/results.json",
                R"({"protocol": ")" + better + R"(", "metrics": {"miss": )" + std::to_string(value) +
                    R"(}, "step": 1, "measured": {"miss": {"title": "miss", "digits": 1, "better": ")" +
                    better + R"(", "headline": true, "column": 1}}})");
  };
  write("a", 3, "lower");
  write("b", 2, "lower");
  write("c", 4, "neither");
  const FoundRuns found = find_runs(place.path());
  std::vector<const FoundRun*> all;
  for (const FoundRun& run : found.runs) all.push_back(&run);
  const std::vector<BestRun> best = best_runs(all);
  ASSERT_EQ(best.size(), 1u);
  EXPECT_EQ(fs::path(best[0].run->folder).filename(), "b");
}

}  // namespace
}  // namespace foil
