// SPDX-License-Identifier: BSD-3-Clause
// Line by line: a line counts when its newline is there and it is a JSON object with an integer "step".
#include "run/metrics.h"

#include "run/json.h"

#include <foil/error.h>

#include <algorithm>
#include <filesystem>
#include <limits>

namespace foil {
namespace {

constexpr int64_t kAnySize = std::numeric_limits<int64_t>::max();

// The row in a line; Exit::data names the place when it is none.
nlohmann::json parse_row(std::string_view line, const std::string& place) {
  nlohmann::json row = parse_json(line, place);
  if (!row.is_object() || !row.contains("step") || !row["step"].is_number_integer()) {
    fail(Exit::data, place, ": a row needs an integer \"step\"");
  }
  return row;
}

// Calls visit(line with its newline, "PATH:NUMBER") for every line that ends in a newline.
template <class Visit>
void for_each_line(std::string_view text, const std::string& path, Visit visit) {
  int64_t number = 0;
  for (size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1)) {
    visit(text.substr(0, end + 1), path + ":" + std::to_string(++number));
  }
}

// The lines of steps up to `last`, and their steps. A line that is no row is forgiven where only dropped rows
// follow: a power cut can leave one.
std::string lines_up_to(int64_t last, const std::string& text, const std::string& path,
                        std::vector<int64_t>& steps) {
  std::string kept;
  std::optional<Error> torn;
  for_each_line(text, path, [&](std::string_view line, const std::string& place) {
    int64_t step = 0;
    try {
      step = parse_row(line, place)["step"].get<int64_t>();
      if (step > last) return;
    } catch (const Error& error) {
      if (!torn) torn = error;
      return;
    }
    if (torn) throw *torn;
    kept += line;
    steps.push_back(step);
  });
  return kept;
}

}  // namespace

std::vector<StepRange> steps_without_rows(std::vector<int64_t> steps, int64_t every, int64_t last) {
  std::sort(steps.begin(), steps.end());
  std::vector<StepRange> ranges;
  for (int64_t step = every; step <= last; step += every) {
    if (std::binary_search(steps.begin(), steps.end(), step)) continue;
    if (!ranges.empty() && ranges.back().second == step - every) {
      ranges.back().second = step;
    } else {
      ranges.emplace_back(step, step);
    }
  }
  return ranges;
}

Metrics::Metrics(const std::string& path, int64_t resume_step) : path_(path) {
  if (std::filesystem::exists(path)) {
    const std::string text = read_record(path, kAnySize), kept = lines_up_to(resume_step, text, path, kept_);
    if (kept != text) write_atomically(path, kept);
  }
  rows_ = static_cast<int64_t>(kept_.size());
  file_.emplace(path);
}

void Metrics::write(const nlohmann::json& row) {
  if (!row.is_object() || !row.contains("step") || !row["step"].is_number_integer()) {
    fail(Exit::failure, path_, ": a row needs an integer \"step\", got ", row.dump());
  }
  file_->append(dump_json(row) + "\n");
  ++rows_;
}

void Metrics::flush() { file_->flush(); }

std::vector<nlohmann::json> read_metrics(const std::string& path) {
  std::vector<nlohmann::json> rows;
  for_each_line(read_record(path, kAnySize), path, [&](std::string_view line, const std::string& place) {
    rows.push_back(parse_row(line, place));
  });
  return rows;
}

}  // namespace foil
