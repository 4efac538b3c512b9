// SPDX-License-Identifier: BSD-3-Clause
// Which CUDA devices the trials of each lane see; nothing is started.
#include "program/lanes.h"

#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace foil {
namespace {

using Names = std::vector<std::string>;

TEST(CudaDevices, AreThoseThatTheEnvironmentNamesElseTheFirst) {
  EXPECT_EQ(cuda_devices(nullptr, 3), (Names{"0", "1", "2"}));
  EXPECT_EQ(cuda_devices("2,GPU-7f", 2), (Names{"2", "GPU-7f"}));
  EXPECT_EQ(cuda_devices("2,5,99", 2), (Names{"2", "5"})) << "99 is not there";
  EXPECT_EQ(cuda_devices("", 0), Names());
}

TEST(ShareDevices, HandsThemRound) {
  EXPECT_EQ(share_devices({}, 4, 1, 1), Names());
  EXPECT_EQ(share_devices({"0", "1"}, 2, 1, 1), (Names{"0", "1"}));
  EXPECT_EQ(share_devices({"4", "6"}, 5, 1, 3), (Names{"4", "6", "4", "6", "4"}));
  EXPECT_EQ(share_devices({"0", "1", "2", "3", "4"}, 2, 2, 1), (Names{"0,1", "2,3"}));
  EXPECT_EQ(share_devices({"0", "1"}, 2, 4, 2), (Names{"0,1", "0,1"})) << "more ranks than devices";
}

TEST(ShareDevices, RefusesMoreTrialsThanFindAPlace) {
  EXPECT_EQ(test::error_of([] {
              share_devices({"0", "1"}, 5, 1, 2);
            }),
            "2 --parallel 5: on 2 CUDA devices, 1 for a trial and 2 trials on a device, allowed: at most 4. "
            "--per-gpu lets more trials share a device.");
}

}  // namespace
}  // namespace foil
