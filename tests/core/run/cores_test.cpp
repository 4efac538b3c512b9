// SPDX-License-Identifier: BSD-3-Clause
// How many cores threads may use: the affinity mask, and the quotas of control groups in a file system made
// for the test.
#include "run/cores.h"

#include "tests/core/run/run_test.h"

#include <sched.h>

#include <filesystem>

namespace foil {
namespace {

// A root in which this process is in `group` and these files limit it.
struct Root {
  Root(const std::string& groups, const std::vector<std::pair<std::string, std::string>>& files) {
    write("proc/self/cgroup", groups);
    for (const auto& [name, text] : files) write("sys/fs/cgroup/" + name, text);
  }
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(scratch / name).parent_path());
    write_plainly(scratch / name, text);
  }
  int cores() const { return usable_cores(scratch.path()); }
  TempFolder scratch;
};

int mask() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

TEST(UsableCores, AreThoseOfTheMaskWithoutAQuota) {
  EXPECT_EQ(usable_cores((TempFolder() / "nothing/here")), mask());
  EXPECT_EQ(Root("0::/a\n", {{"a/cpu.max", "max 100000\n"}, {"cpu.max", "not a number\n"}}).cores(), mask());
  EXPECT_EQ(Root("4:cpu,cpuacct:/a\n",
                 {{"cpu/a/cpu.cfs_quota_us", "-1\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}})
                .cores(),
            mask());
  EXPECT_EQ(Root("0::/\n", {{"cpu.max", "640000000 100000\n"}}).cores(), mask());
  EXPECT_EQ(exit_code_of_child([] {
              cpu_set_t one;
              CPU_ZERO(&one);
              CPU_SET(::sched_getcpu(), &one);
              return ::sched_setaffinity(0, sizeof one, &one) == 0 ? usable_cores() : 0;
            }),
            1);
}

TEST(UsableCores, AreNoMoreThanTheQuotaOfTheGroupOrOfOneAroundIt) {
  EXPECT_EQ(Root("0::/a/b\n", {{"a/b/cpu.max", "100000 100000\n"}}).cores(), 1);
  EXPECT_EQ(Root("0::/a/b\n", {{"a/cpu.max", "50000 100000\n"}, {"a/b/cpu.max", "max 100000\n"}}).cores(), 1)
      << "rounded up";
  EXPECT_EQ(Root("0::/\n", {{"cpu.max", "100000 100000\n"}}).cores(), 1)
      << "a container sees its own group as the root";
  EXPECT_EQ(Root("1:name=systemd:/z\n4:cpu,cpuacct:/a\n",
                 {{"cpu/a/cpu.cfs_quota_us", "30000\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}})
                .cores(),
            1);
}

TEST(UsableCores, AreNoMoreThanTheShareThatAnotherProcessGave) {
  EXPECT_EQ(exit_code_of_child([] {
              ::setenv("FOIL_CORES", "1", 1);
              return usable_cores();
            }),
            1);
  EXPECT_EQ(exit_code_of_child([] {
              ::setenv("FOIL_CORES", "1000000", 1);
              return usable_cores() == mask() ? 0 : 1;
            }),
            0);
  for (const std::string wrong : {"0", "-1", "two", "1.5", "99999999999"}) {
    ::setenv("FOIL_CORES", wrong.c_str(), 1);
    EXPECT_EQ(error_of([] { usable_cores(); }), "2 FOIL_CORES = " + wrong + ", allowed: an integer > 0.");
  }
  ::unsetenv("FOIL_CORES");
}

}  // namespace
}  // namespace foil
