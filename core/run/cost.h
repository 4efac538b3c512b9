// SPDX-License-Identifier: BSD-3-Clause
// cost.json of a run folder: what the run has taken so far. It stands apart from results.json, which is the
// same for every run of one experiment.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace foil {

struct Cost {
  double seconds = 0;   // of the processes that ended by themselves: training and evaluation
  int64_t samples = 0;  // trained on, once a step each, whatever the number of views
  int64_t peak_memory =
      0;  // bytes: of the device where that is no CPU, else of the process; of the first rank
};

// Bytes of memory of this process, since its program began, by a line of /proc/self/status: "VmRSS", what it
// has; "VmHWM", the most that it had. What getrusage() says has in it what the process was before, which is
// the study that started it.
int64_t process_memory(const std::string& line);

// Nothing where there is none; Error (Exit::data) for a file that is no such record.
std::optional<Cost> read_cost(const std::string& folder);

// The cost of one process, added to what the folder holds of earlier ones.
class CostRecord {
 public:
  explicit CostRecord(std::string folder) : folder_(std::move(folder)) {}
  // Writes what the run has taken until now. `device_memory`: the peak in bytes, 0 on a CPU.
  void write(int64_t samples, int64_t device_memory) const;

 private:
  std::string folder_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace foil
