// SPDX-License-Identifier: BSD-3-Clause
// Event files, read back by TensorBoard itself.
#include "run/tensorboard.h"

#include "run/json.h"
#include "run_test.h"

#include <fmt/format.h>

#include <cmath>
#include <regex>

namespace foil {
namespace {

constexpr const char* kReader = R"(
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "tensors": 0})
events.Reload()
tags = events.Tags()
print(json.dumps({
    "version": events.file_version,
    "scalars": {tag: [[e.step, repr(e.value)] for e in events.Scalars(tag)] for tag in tags["scalars"]},
    "texts": {tag: [[e.step, e.tensor_proto.string_val[0].decode()] for e in events.Tensors(tag)] for tag in tags["tensors"]},
    "plugins": {tag: events.SummaryMetadata(tag).plugin_data.plugin_name for tag in tags["tensors"]}}))
)";

nlohmann::json read_by_tensorboard(const TempFolder& scratch, const std::string& folder) {
  return parse_json(run_python(scratch, kReader, folder), "TensorBoard");
}

std::string only_file(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path());
  EXPECT_EQ(names.size(), 1u);
  return names.at(0);
}

TEST(EventWriter, Crc32cEqualsThePublishedValues) {  // RFC 3720, appendix B.4
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
}

TEST(EventWriter, TensorBoardReadsTheSameScalarsAndTexts) {
  const TempFolder scratch;
  const std::string folder = scratch / "run";
  std::filesystem::create_directory(folder);
  nlohmann::json loss = nlohmann::json::array();
  {
    EventWriter events(folder, -1);
    for (int64_t step = 0; step < 300; step += 7) {
      const double value = std::sin(static_cast<double>(step)) * 1e3;
      events.scalar("train/loss", value, step);
      loss.push_back({step, value});
    }
    events.scalar("kNN é", std::nan(""), 3'000'000'000);
    events.text("config", "# A title\n" + std::string(300, 'x'), 5);
  }
  const nlohmann::json got = read_by_tensorboard(scratch, folder);
  EXPECT_EQ(got["version"], 2);
  ASSERT_EQ(got["scalars"]["train/loss"].size(), loss.size());
  for (size_t i = 0; i < loss.size(); ++i) {
    EXPECT_EQ(got["scalars"]["train/loss"][i][0], loss[i][0]);
    EXPECT_EQ(std::stof(got["scalars"]["train/loss"][i][1].get<std::string>()),
              static_cast<float>(loss[i][1].get<double>()));
  }
  EXPECT_EQ(got["scalars"]["kNN é"],
            (nlohmann::json::array({nlohmann::json::array({3'000'000'000, "nan"})})));
  EXPECT_EQ(got["texts"]["config/text_summary"],
            (nlohmann::json::array({nlohmann::json::array({5, "# A title\n" + std::string(300, 'x')})})));
  EXPECT_EQ(got["plugins"]["config/text_summary"], "text");
  EXPECT_TRUE(std::regex_search(only_file(folder), std::regex("/events\\.out\\.tfevents\\.\\d{10}\\..+$")));
}

constexpr const char* kHParams = R"(
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
events = EventAccumulator(sys.argv[1])
events.Reload()
content = events.PluginTagToContent(metadata.PLUGIN_NAME)
start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
end = metadata.parse_session_end_info_plugin_data(content[metadata.SESSION_END_INFO_TAG])
value = lambda v: getattr(v, v.WhichOneof("kind"))
print(json.dumps({"hparams": {name: value(v) for name, v in start.hparams.items()}, "status": end.status,
                  "in order": start.start_time_secs <= end.end_time_secs}))
)";

TEST(EventWriter, TensorBoardReadsTheSameHyperparameters) {
  const TempFolder scratch;
  const std::string folder = scratch / "run";
  std::filesystem::create_directory(folder);
  const nlohmann::json values = {
      {"loss.temperature", 0.1}, {"loss.name", "dcl é"}, {"evaluate.linear", false}, {"run.seed", -3.0}};
  EventWriter(folder, -1).hyperparameters(values, 20);
  const nlohmann::json got = parse_json(run_python(scratch, kHParams, folder), "TensorBoard");
  EXPECT_EQ(got["hparams"], values);
  EXPECT_EQ(got["status"], 1);
  EXPECT_EQ(got["in order"], true);
}

TEST(EventWriter, ResumeDropsLaterEventsAndATornEndInTheSameFile) {
  const TempFolder scratch;
  const std::string folder = scratch / "run";
  std::filesystem::create_directory(folder);
  {
    EventWriter events(folder, -1);
    for (const int64_t step : {0, 100, 200, 300, 400}) events.scalar("loss", static_cast<double>(step), step);
  }
  const std::string path = only_file(folder), bytes = read_file(path);
  write_plainly(path, bytes.substr(0, bytes.size() - 3));
  { EventWriter(folder, 200).scalar("loss", 0.5, 300); }
  EXPECT_EQ(only_file(folder), path);
  EXPECT_EQ(read_by_tensorboard(scratch, folder)["scalars"]["loss"].dump(),
            R"([[0,"0.0"],[100,"100.0"],[200,"200.0"],[300,"0.5"]])");
}

TEST(EventWriter, AFreshStartKeepsTheVersionOnly) {
  const TempFolder scratch;
  { EventWriter(scratch.path(), -1).scalar("loss", 1, 0); }
  const std::string path = only_file(scratch.path());
  const size_t whole = read_file(path).size();
  { EventWriter events(scratch.path(), -1); }
  const std::string version = read_file(path);
  EXPECT_LT(version.size(), whole);
  EXPECT_NE(version.find("brain.Event:2"), version.npos);
  write_plainly(path, "rubbish that is no record at all");
  { EventWriter events(scratch.path(), 5); }
  EXPECT_EQ(read_file(path).size(), version.size());
}

}  // namespace
}  // namespace foil
