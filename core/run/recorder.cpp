// SPDX-License-Identifier: BSD-3-Clause
// Rows to metrics.jsonl, TensorBoard and the progress line; checkpoints behind the rows they know of.
#include "run/recorder.h"

#include "run/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace foil {

Recorder::Recorder(std::string folder, int64_t keep_checkpoints, bool quiet)
    : folder_(std::move(folder)), quiet_(quiet), keep_(keep_checkpoints) {
  if (!folder_.empty()) checkpoints_.emplace(folder_ + "/checkpoints", keep_);
}

std::optional<Checkpoint> Recorder::newest_checkpoint() {
  if (folder_.empty()) return std::nullopt;
  const std::optional<Checkpoint> newest = checkpoints_->load_newest(
      [](const std::string& line) { std::fprintf(stderr, "%s\n", printable_lines(line).c_str()); });
  if (newest && newest->said("rows").is_number_integer()) rows_ = newest->said("rows").get<int64_t>();
  if (newest && newest->said("missing rows").is_array()) missing_ = newest->said("missing rows");
  return newest;
}

void Recorder::require_space(const Checkpoint& like) {
  if (!folder_.empty()) say(foil::require_space(folder_ + "/checkpoints", bytes(like), keep_));
}

void Recorder::begin(int64_t step, int64_t total, int64_t log_every) {
  if (folder_.empty()) return;
  metrics_ = std::make_unique<Metrics>(folder_ + "/metrics.jsonl", step);
  look_for_lost_rows(step, log_every);
  events_ = std::make_unique<EventWriter>(folder_, step);
  progress_ = std::make_unique<Progress>("train", total, step, Progress::options_for_stderr(quiet_));
}

void Recorder::look_for_lost_rows(int64_t step, int64_t log_every) {
  if (metrics_->rows() >= rows_) return;
  std::string named;
  for (const auto& [first, last] : steps_without_rows(metrics_->kept(), log_every, step)) {
    const StepRange range{first, last};
    if (std::find(missing_.begin(), missing_.end(), nlohmann::json(range)) != missing_.end())
      continue;  // known from before
    missing_.push_back(nlohmann::json(range));
    named += (named.empty() ? "" : ", ") +
             (first == last ? fmt::format("{}", first) : fmt::format("{} to {}", first, last));
  }
  warn(fmt::format(
      "{}/metrics.jsonl: {} of {} rows up to step {} are missing{}; the training goes on without them",
      folder_, rows_ - metrics_->rows(), rows_, step, named.empty() ? "" : ", those of the steps " + named));
}

void Recorder::row(int64_t step, const nlohmann::json& values) {
  if (folder_.empty()) return;
  nlohmann::json row = values;
  row["step"] = step;
  metrics_->write(row);
  for (const auto& [name, value] : values.items()) {
    if (!value.is_number()) continue;
    events_->scalar(name, value.get<double>(), step);
    if (name == "loss" || name == "knn") shown_[name] = value.get<double>();
  }
}

void Recorder::outcome(int64_t step, const nlohmann::json& settings, const nlohmann::json& metrics) {
  if (!events_) return;
  for (const auto& [name, value] : metrics.items())
    if (value.is_number()) events_->scalar("final/" + name, value.get<double>(), step);
  events_->hyperparameters(settings, step);
}

void Recorder::progress(int64_t step) {
  if (progress_) progress_->update(step, {shown_.begin(), shown_.end()});
}

void Recorder::save(Checkpoint checkpoint) {
  metrics_->flush();
  checkpoint.state["rows"] = metrics_->rows();
  if (!missing_.empty()) checkpoint.state["missing rows"] = missing_;
  checkpoints_->save(checkpoint);
}

void Recorder::finish() {
  if (!progress_) return;
  progress_->finish();
  progress_.reset();
}

void Recorder::say(const std::string& line) {
  if (!quiet_) warn(line);
}

void Recorder::warn(const std::string& line) {
  if (folder_.empty()) return;
  if (progress_) {
    progress_->message(printable_lines(line));
  } else {
    std::fprintf(stderr, "%s\n", printable_lines(line).c_str());
  }
}

}  // namespace foil
