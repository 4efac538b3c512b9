// SPDX-License-Identifier: BSD-3-Clause
#include "run/cost.h"

#include "run/file.h"
#include "run/json.h"

#include <foil/error.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace foil {

int64_t process_memory(const std::string& line) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kibibytes = 0;
    if (word == line + ":" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

std::optional<Cost> read_cost(const std::string& folder) {
  const std::string path = folder + "/cost.json";
  if (!std::filesystem::exists(path)) return std::nullopt;
  const nlohmann::json json = parse_json(read_record(path), path);
  try {
    return Cost{json.at("seconds"), json.at("samples"), json.at("peak_memory_bytes")};
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, path, ": not the cost of a run: ", complaint(error));
  }
}

void CostRecord::write(int64_t samples, int64_t device_memory) const {
  Cost before;
  try {
    before = read_cost(folder_).value_or(before);
  } catch (const Error&) {  // what is damaged is not known, and no reason to lose a run
  }
  const int64_t memory = device_memory > 0 ? device_memory : process_memory("VmHWM");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  write_atomically(folder_ + "/cost.json",
                   dump_json({{"seconds", before.seconds + seconds},
                              {"samples", samples},
                              {"peak_memory_bytes", std::max(before.peak_memory, memory)}},
                             2) +
                       "\n");
}

}  // namespace foil
