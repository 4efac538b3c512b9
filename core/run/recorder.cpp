// SPDX-License-Identifier: BSD-3-Clause
#include "run/recorder.h"

#include <cstdio>

namespace foil {

Recorder::Recorder(std::string folder, int64_t keep_checkpoints, bool quiet)
    : folder_(std::move(folder)), quiet_(quiet), keep_(keep_checkpoints) {
  if (!folder_.empty()) checkpoints_.emplace(folder_ + "/checkpoints", keep_);
}

std::optional<Checkpoint> Recorder::newest_checkpoint() {
  if (folder_.empty()) return std::nullopt;
  return checkpoints_->load_newest([](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); });
}

void Recorder::require_space(const Checkpoint& like) {
  if (!folder_.empty()) say(foil::require_space(folder_ + "/checkpoints", bytes(like), keep_));
}

void Recorder::begin(int64_t step, int64_t total) {
  if (folder_.empty()) return;
  metrics_ = std::make_unique<Metrics>(folder_ + "/metrics.jsonl", step);
  events_ = std::make_unique<EventWriter>(folder_, step);
  progress_ = std::make_unique<Progress>("train", total, step, Progress::options_for_stderr(quiet_));
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

void Recorder::progress(int64_t step) {
  if (progress_) progress_->update(step, {shown_.begin(), shown_.end()});
}

void Recorder::save(const Checkpoint& checkpoint) {
  metrics_->flush();
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
    progress_->message(line);
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

}  // namespace foil
