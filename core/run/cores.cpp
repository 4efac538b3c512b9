// SPDX-License-Identifier: BSD-3-Clause
// The affinity mask and the quotas of control groups, as the kernel tells them.
#include "run/cores.h"

#include <foil/error.h>

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>

namespace foil {
namespace {

namespace fs = std::filesystem;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// quota / period, where both are numbers above zero: "max" and -1 are no limit.
double cores_of(const std::string& quota, const std::string& period) {
  const double share = std::strtod(quota.c_str(), nullptr) / std::strtod(period.c_str(), nullptr);
  return std::isfinite(share) && share > 0 ? share : kNoLimit;
}

double quota_of(const fs::path& group) {
  std::istringstream both(first_line(group / "cpu.max"));  // version 2
  std::string quota, period;
  if (both >> quota >> period) return cores_of(quota, period);
  return cores_of(first_line(group / "cpu.cfs_quota_us"), first_line(group / "cpu.cfs_period_us"));
}

// The least quota of this process's groups and of those around them.
double least_quota(const fs::path& root) {
  std::ifstream groups(root / "proc/self/cgroup");  // "0::/a/b" or "4:cpu,cpuacct:/a/b"
  double least = kNoLimit;
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const fs::path top = root / "sys/fs/cgroup" / (controllers.empty() ? "" : "cpu");
    fs::path inside = fs::path(line.substr(second + 1)).relative_path();
    for (;; inside = inside.parent_path()) {
      least = std::min(least, quota_of(top / inside));
      if (inside.empty()) break;
    }
  }
  return least;
}

// What FOIL_CORES says.
double share() {
  const char* text = std::getenv("FOIL_CORES");
  if (!text || !*text) return kNoLimit;
  int cores = 0;
  const char* end = text + std::strlen(text);
  const auto [read, error] = std::from_chars(text, end, cores);
  if (error != std::errc() || read != end || cores < 1)
    fail(Exit::usage, "FOIL_CORES = ", text, ", allowed: an integer > 0.");
  return cores;
}

}  // namespace

int usable_cores(const std::string& root) {
  cpu_set_t mask;
  int cores = static_cast<int>(
      std::thread::hardware_concurrency());  // more than a mask of this type can hold, or no mask
  if (::sched_getaffinity(0, sizeof mask, &mask) == 0) cores = CPU_COUNT(&mask);
  const double quota = std::min(std::ceil(least_quota(root)), share());
  return std::max(1, quota < cores ? static_cast<int>(quota) : cores);
}

std::string barrier_policy() {
  for (const char* name : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    if (const char* value = std::getenv(name)) return std::string(name) + "=" + value;
  }
  return "of OpenMP";
}

}  // namespace foil
