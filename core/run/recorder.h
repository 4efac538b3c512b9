// SPDX-License-Identifier: BSD-3-Clause
// Recorder: where a run's numbers go on rank 0: metrics.jsonl, TensorBoard events, the progress line. On
// other ranks it does nothing.
#pragma once

#include "run/checkpoint.h"
#include "run/metrics.h"
#include "run/progress.h"
#include "run/tensorboard.h"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace foil {

class Recorder {
 public:
  // `folder`: the run folder; empty on ranks other than 0.
  Recorder(std::string folder, int64_t keep_checkpoints, bool quiet);

  // The newest checkpoint that is whole; says on stderr which damaged ones were passed over.
  std::optional<Checkpoint> newest_checkpoint();
  // Says what the checkpoints will take on disk, `like` being one of them; throws when that does not fit.
  void require_space(const Checkpoint& like);
  // Opens the files for a run that goes on after `step` of `total`: later rows and events are cut off. Rows
  // that were there when the checkpoint was written and are gone are named in a warning; `log_every`: the
  // steps between rows.
  void begin(int64_t step, int64_t total, int64_t log_every);
  // One row after `step` steps: metrics.jsonl, a scalar per number, and the numbers of the progress line.
  void row(int64_t step, const nlohmann::json& values);
  void progress(int64_t step);
  // What came out after all steps: in TensorBoard a scalar final/NAME for each of `metrics`, beside
  // `settings` in its HParams tab.
  void outcome(int64_t step, const nlohmann::json& settings, const nlohmann::json& metrics);
  // Writes the checkpoint, with the number of rows and those missing; the rows up to it are on disk before
  // it.
  void save(Checkpoint checkpoint);
  void finish();
  // One line on stderr, beside the progress line; nothing when quiet.
  void say(const std::string& line);
  // The same, when quiet too.
  void warn(const std::string& line);

  const std::string& folder() const { return folder_; }
  // The steps whose rows were lost before this process or an earlier one went on: [[first, last], ...]; empty
  // when none is.
  const nlohmann::json& missing_rows() const { return missing_; }

 private:
  void look_for_lost_rows(int64_t step, int64_t log_every);

  std::string folder_;
  bool quiet_;
  int64_t keep_;
  std::optional<Checkpoints> checkpoints_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<EventWriter> events_;
  std::unique_ptr<Progress> progress_;
  int64_t rows_ = 0;  // that the checkpoint knows of
  nlohmann::json missing_ = nlohmann::json::array();
  std::map<std::string, double> shown_;  // on the progress line: the newest of each
};

}  // namespace foil
