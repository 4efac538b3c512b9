// SPDX-License-Identifier: BSD-3-Clause
// The order of writes and removals is the whole point here: at every moment the newest JSON whose checksums
// hold is a checkpoint.
#include "run/checkpoint.h"

#include "run/file.h"
#include "run/json.h"
#include "run/safetensors.h"

#include <foil/error.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>

namespace foil {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensors = ".safetensors";
constexpr const char* kCommit = ".json";

std::string stem_of(int64_t step) { return fmt::format("step-{:08d}", step); }

// The step of a stem as stem_of writes it.
std::optional<int64_t> step_of(const std::string& stem) {
  int64_t step = 0;
  const size_t prefix = std::string_view("step-").size();
  if (!stem.starts_with("step-")) return std::nullopt;
  std::from_chars(stem.data() + prefix, stem.data() + stem.size(), step);
  return stem == stem_of(step) ? std::optional(step) : std::nullopt;
}

std::string commit_text(const Checkpoint& checkpoint, const std::string& tensors) {
  const std::string content = dump_json({{"step", checkpoint.step},
                                         {"state", checkpoint.state},
                                         {"bytes", tensors.size()},
                                         {"checksum", checksum(tensors)}});
  return "{\"checkpoint\":" + content + ",\"checksum\":\"" + checksum(content) + "\"}\n";
}

// The "checkpoint" part of a commit whose own checksum holds.
nlohmann::json read_commit(const std::string& stem) {
  const nlohmann::json commit = parse_json(read_record(stem + kCommit), stem + kCommit);
  if (commit.at("checksum") != checksum(commit.at("checkpoint").dump()))
    fail(Exit::data, stem, ": checksum differs");
  return commit.at("checkpoint");
}

Checkpoint load_stem(const std::string& stem) {
  const nlohmann::json commit = read_commit(stem);
  const std::string tensors = read_record(stem + kTensors, std::numeric_limits<int64_t>::max());
  if (commit.at("bytes") != tensors.size()) {
    fail(Exit::data, stem, ": tensors are ", tensors.size(), " bytes, ", commit.at("bytes").dump(),
         " were written");
  }
  if (commit.at("checksum") != checksum(tensors)) fail(Exit::data, stem, ": checksum differs");
  return {commit.at("step").get<int64_t>(), parse_tensors(tensors, stem + kTensors).tensors,
          commit.at("state")};
}

std::vector<fs::path> files_in(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;  // a folder that is not there yet holds nothing
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    files.push_back(entry.path());
  return files;
}

// "checkpoints/step-00000020: what" as the warning names it: the folder's own name, not the way to it.
std::string last_two(const std::string& text, const std::string& folder) {
  const fs::path path(folder);
  return text.starts_with(folder) ? (path.filename() / text.substr(folder.size() + 1)).string() : text;
}

}  // namespace

int64_t bytes(const Checkpoint& checkpoint) {
  int64_t sum = static_cast<int64_t>(dump_json(checkpoint.state).size());
  for (const auto& [name, tensor] : checkpoint.tensors)
    sum += static_cast<int64_t>(tensor.nbytes() + name.size()) + 100;
  return sum;
}

std::string require_space(const std::string& folder, int64_t bytes, int64_t keep) {
  const int64_t available = free_bytes(folder);
  const std::string text =
      fmt::format("checkpoints: {} x {}, free {}", keep, readable_bytes(bytes), readable_bytes(available));
  int64_t present = 0;
  for (const fs::path& file : files_in(folder)) {
    std::error_code gone;
    const auto size = fs::file_size(file, gone);
    if (!gone) present += static_cast<int64_t>(size);
  }
  if ((keep + 1) * bytes - present > available) {
    fail(Exit::failure, folder, ": ", text,
         ": too little: the last one is removed only after the next is written, so ",
         readable_bytes((keep + 1) * bytes), " are needed. Free some space, or keep fewer.");
  }
  return text;
}

Checkpoints::Checkpoints(std::string folder, int64_t keep)
    : folder_(fs::path(folder).lexically_normal().string()), keep_(keep) {
  if (folder_.size() > 1 && folder_.back() == '/') folder_.pop_back();
  if (keep < 1) fail(Exit::failure, folder_, ": keep = ", keep, ", allowed: an integer >= 1");
}

void Checkpoints::save(const Checkpoint& checkpoint) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail(Exit::failure, folder_, ": cannot create the folder: ", error.message());
  remove_leftovers();

  const std::string stem = path_of(checkpoint.step);
  const std::string tensors = serialize_tensors(checkpoint.tensors);
  write_atomically(stem + kTensors, tensors);
  write_atomically(stem + kCommit, commit_text(checkpoint, tensors));

  std::vector<int64_t> kept;
  for (const int64_t step : steps()) {
    const bool damaged = step != checkpoint.step && std::count(damaged_.begin(), damaged_.end(), step);
    if (damaged || step > checkpoint.step) {
      remove(step);
    } else {
      kept.push_back(step);
    }
  }
  damaged_.clear();
  for (size_t i = 0; i + static_cast<size_t>(keep_) < kept.size(); ++i) remove(kept[i]);
}

std::optional<Checkpoint> Checkpoints::load_newest(const std::function<void(const std::string&)>& warn) {
  const std::vector<int64_t> known = steps();
  for (auto step = known.rbegin(); step != known.rend(); ++step) {
    try {
      return load(path_of(*step));
    } catch (const Error& error) {
      damaged_.push_back(*step);
      const auto older = std::next(step);
      warn(last_two(error.what(), folder_) + (older == known.rend()
                                                  ? "; no older one to fall back to"
                                                  : "; falling back to " + stem_of(*older)));
    }
  }
  return std::nullopt;
}

Checkpoint Checkpoints::load(const std::string& path) {
  const fs::path given(path);
  const bool has_extension = given.extension() == kTensors || given.extension() == kCommit;
  const std::string stem = has_extension ? fs::path(given).replace_extension().string() : path;
  try {
    Checkpoint checkpoint = load_stem(stem);
    if (step_of(fs::path(stem).filename()) != checkpoint.step)
      fail(Exit::data, stem, kCommit, ": holds step ", checkpoint.step);
    return checkpoint;
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, stem, kCommit, ": not a checkpoint: ", complaint(error));
  }
}

std::vector<std::string> Checkpoints::list() const {
  std::vector<std::string> paths;
  for (const int64_t step : steps()) paths.push_back(path_of(step));
  return paths;
}

std::vector<int64_t> Checkpoints::steps() const {
  std::vector<int64_t> steps;
  for (const fs::path& file : files_in(folder_)) {
    const std::optional<int64_t> step = step_of(file.stem());
    if (step && file.extension() == kCommit) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::string Checkpoints::path_of(int64_t step) const { return folder_ + "/" + stem_of(step); }

// The commit goes first: a kill in between leaves tensors that do not count, not a commit without tensors.
void Checkpoints::remove(int64_t step) const {
  std::error_code ignored;
  fs::remove(path_of(step) + kCommit, ignored);
  fs::remove(path_of(step) + kTensors, ignored);
}

void Checkpoints::remove_leftovers() const {
  std::error_code ignored;
  for (const fs::path& file : files_in(folder_)) {
    const bool orphan = file.extension() == kTensors && step_of(file.stem()) &&
                        !fs::exists(fs::path(file).replace_extension(kCommit), ignored);
    if (orphan || is_temporary(file.native())) fs::remove(file, ignored);
  }
}

}  // namespace foil
