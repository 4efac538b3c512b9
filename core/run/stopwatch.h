// SPDX-License-Identifier: BSD-3-Clause
// Stopwatch: where the time of the steps goes; host time, so on CUDA what the host waits for.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace foil {

class Stopwatch {
 public:
  // The time since the last mark, or since the beginning, was that of `what`.
  void mark(const char* what) {
    const auto now = std::chrono::steady_clock::now();
    seconds_[what] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  const std::map<std::string, double>& seconds() const { return seconds_; }
  // "870 samples/s; a step of 294.2 ms: augment 3.1 % ...".
  std::string text(int64_t steps, int64_t batch_size) const {
    double total = 0;
    for (const auto& [what, s] : seconds_) total += s;
    std::string line =
        fmt::format("{:.0f} samples/s; a step of {:.1f} ms:", static_cast<double>(steps * batch_size) / total,
                    1e3 * total / static_cast<double>(steps));
    for (const auto& [what, s] : seconds_) line += fmt::format(" {} {:.1f} %", what, 100 * s / total);
    return line;
  }

 private:
  std::map<std::string, double> seconds_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace foil
