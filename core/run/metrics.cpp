// SPDX-License-Identifier: BSD-3-Clause
// Line by line: a line counts when its newline is there and it is a JSON object with an integer "step".
#include "run/metrics.h"

#include <foil/error.h>

#include <filesystem>

#include "run/json.h"

namespace foil {
namespace {

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

// The lines of steps up to `last`. A line that is no row is forgiven where only dropped rows follow: a power cut can leave one.
std::string lines_up_to(int64_t last, const std::string& text, const std::string& path) {
  std::string kept;
  std::optional<Error> torn;
  for_each_line(text, path, [&](std::string_view line, const std::string& place) {
    try {
      if (parse_row(line, place)["step"].get<int64_t>() > last) return;
    } catch (const Error& error) {
      if (!torn) torn = error;
      return;
    }
    if (torn) throw *torn;
    kept += line;
  });
  return kept;
}

}  // namespace

Metrics::Metrics(const std::string& path, int64_t resume_step) : path_(path) {
  if (std::filesystem::exists(path)) {
    const std::string text = read_file(path), kept = lines_up_to(resume_step, text, path);
    if (kept != text) write_atomically(path, kept);
  }
  file_.emplace(path);
}

void Metrics::write(const nlohmann::json& row) {
  if (!row.is_object() || !row.contains("step") || !row["step"].is_number_integer()) {
    fail(Exit::failure, path_, ": a row needs an integer \"step\", got ", row.dump());
  }
  file_->append(dump_json(row) + "\n");
}

void Metrics::flush() { file_->flush(); }

std::vector<nlohmann::json> read_metrics(const std::string& path) {
  std::vector<nlohmann::json> rows;
  for_each_line(read_file(path), path,
                [&](std::string_view line, const std::string& place) { rows.push_back(parse_row(line, place)); });
  return rows;
}

}  // namespace foil
