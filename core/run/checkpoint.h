// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints that a kill, a full disk or a flipped bit cannot lose. A checkpoint is two files in one folder:
//   step-00001234.safetensors   the tensors
//   step-00001234.json          step, state, size and checksum of the tensors, checksum of itself
// The JSON is written last and is the commit: tensors without it do not exist. What a checkpoint holds is the
// caller's business.
#pragma once

#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace foil {

struct Checkpoint {
  int64_t step = 0;
  std::map<std::string, at::Tensor> tensors;
  nlohmann::json
      state;  // counters and texts; its non-finite numbers come back as text (read them with json_number)
  // The entry of `state` with this key; null without one.
  nlohmann::json said(const std::string& key) const {
    return state.is_object() ? state.value(key, nlohmann::json()) : nullptr;
  }
};

// What saving it takes on disk, to a few kB.
int64_t bytes(const Checkpoint& checkpoint);

// "checkpoints: 3 x 45 MB, free 80 GB"; throws when `keep` of them and the one being written do not fit
// beside what `folder` (which need not exist yet) already holds of them.
std::string require_space(const std::string& folder, int64_t bytes, int64_t keep);

// The checkpoints of one run. Reading changes nothing on disk, so that another process may read while the run
// writes.
class Checkpoints {
 public:
  Checkpoints(std::string folder, int64_t keep);  // keep >= 1

  // Writes a checkpoint, then removes what it supersedes: all but the newest `keep`, those that load_newest
  // found damaged, those of later steps (of a future that a fallback abandoned) and what killed writes left.
  // When it throws, the older ones are untouched. A step saved again should hold the same tensors: between
  // its two files a kill would otherwise cost that one checkpoint.
  void save(const Checkpoint& checkpoint);

  // The newest one that is whole; none when there is none. For each damaged one that it passes over, calls
  // warn("checkpoints/step-00000020: checksum differs; falling back to step-00000010").
  std::optional<Checkpoint> load_newest(const std::function<void(const std::string&)>& warn);

  // One checkpoint, by the path of either file or without extension; Exit::data when it is missing or
  // damaged.
  static Checkpoint load(const std::string& path);

  // Paths without extension, oldest first.
  std::vector<std::string> list() const;

 private:
  std::vector<int64_t> steps() const;
  std::string path_of(int64_t step) const;
  void remove(int64_t step) const;
  void remove_leftovers() const;

  std::string folder_;
  int64_t keep_;
  std::vector<int64_t> damaged_;
};

}  // namespace foil
