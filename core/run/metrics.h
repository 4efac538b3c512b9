// SPDX-License-Identifier: BSD-3-Clause
// metrics.jsonl, the truth about a run: one JSON object per line, each with an integer "step". Plots and
// tables derive from it.
#pragma once

#include "run/file.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace foil {

// Steps from the first to the second, both included.
using StepRange = std::pair<int64_t, int64_t>;

// The multiples of `every` up to `last` that are not in `steps`, as ranges: of {2, 6, 8}, 2 and 12: 4 to 4
// and 10 to 12.
std::vector<StepRange> steps_without_rows(std::vector<int64_t> steps, int64_t every, int64_t last);

class Metrics {
 public:
  // Opens or creates the file and drops, atomically, the rows of later steps than `resume_step` (-1: all) and
  // a torn last line; the rows that stay keep their bytes. A torn line in front of a row that stays is
  // damage: Exit::data.
  Metrics(const std::string& path, int64_t resume_step);

  int64_t rows() const { return rows_; }                      // that stayed, and those written since
  const std::vector<int64_t>& kept() const { return kept_; }  // the steps of the rows that stayed

  // Appends a row. Numbers read back bit for bit; nan and infinities are texts (see json_number). Survives a
  // kill right away.
  void write(const nlohmann::json& row);

  // Makes the rows survive a power cut too; call it before the checkpoint that relies on them.
  void flush();

 private:
  std::string path_;
  std::vector<int64_t> kept_;
  int64_t rows_ = 0;
  std::optional<AppendFile> file_;
};

// All rows in order. A last line without its newline is left out: the run may be writing it now.
std::vector<nlohmann::json> read_metrics(const std::string& path);

}  // namespace foil
