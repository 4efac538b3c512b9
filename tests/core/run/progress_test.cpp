// SPDX-License-Identifier: BSD-3-Clause
// The progress line: the text as a pure function, and when it is printed.
#include "run/progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace foil {
namespace {

int64_t columns_of(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

TEST(ProgressLine, LooksLikeTqdm) {
  EXPECT_EQ(progress_line("train", 871, 2600, 0, 49, {{"loss", 1.36}}, 80),
            "train  33%|███▎      | 871/2600 [00:49<01:37, 17.8it/s, loss=1.36]");
  EXPECT_EQ(progress_line("train", 2600, 2600, 0, 3725, {}, 80),
            "train 100%|██████████| 2600/2600 [1:02:05<00:00, 1.43s/it]");
}

TEST(ProgressLine, CountsTheRateFromWhereThisProcessBegan) {
  EXPECT_EQ(progress_line("train", 600, 1000, 500, 10, {}, 0), "train  60% 600/1000 [00:10<00:40, 10.0it/s]");
}

TEST(ProgressLine, HasNoRateBeforeTheFirstStep) {
  EXPECT_EQ(progress_line("train", 0, 10, 0, 0, {}, 0), "train   0% 0/10 [00:00<?, ?it/s]");
  EXPECT_EQ(progress_line("train", 5, 10, 5, 2, {}, 0), "train  50% 5/10 [00:02<?, ?it/s]");
}

TEST(ProgressLine, StandsEmptyOverfullAndNonFinite) {
  EXPECT_EQ(progress_line("x", 0, 0, 0, 1, {}, 0), "x 100% 0/0 [00:01<?, ?it/s]");
  EXPECT_EQ(progress_line("x", 12, 10, 0, 1, {{"loss", std::nan("")}}, 60),
            "x 100%|██████████| 12/10 [00:01<00:00, 12.0it/s, loss=nan]");
}

TEST(ProgressLine, FitsAnyWidthAndCutsBetweenCharacters) {
  for (int columns = 1; columns < 90; ++columns) {
    const std::string line = progress_line("übung", 871, 2600, 0, 49, {{"größe", 1.36}}, columns);
    EXPECT_LE(columns_of(line), columns);
    EXPECT_NE(static_cast<unsigned char>(line.back()), 0xC3) << "half a character at " << columns;
  }
  EXPECT_EQ(progress_line("übung", 1, 2, 0, 1, {}, 1), "ü");
}

TEST(ProgressLine, TheBarGrowsByEighthsAndKeepsItsWidth) {
  std::string before;
  for (int64_t done = 0; done <= 80; ++done) {
    const std::string line = progress_line("x", done, 80, 0, 1, {}, 80);
    const std::string bar = line.substr(line.find('|') + 1, line.rfind('|') - line.find('|') - 1);
    EXPECT_EQ(columns_of(bar), 10) << done;
    EXPECT_NE(bar, before) << done;
    before = bar;
  }
}

std::string printed(Progress::Options options, bool finish) {
  ::setenv("COLUMNS", "100", 1);
  testing::internal::CaptureStderr();
  {
    Progress progress("x", 3, 0, options);
    progress.update(1, {{"loss", 0.5}});
    progress.message("a message");
    progress.update(3, {{"loss", 0.25}});
    if (finish) progress.finish();
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, RedrawsOneLineOnATerminalAndEndsIt) {
  const std::string text = printed({true, false, 0}, true);
  EXPECT_TRUE(text.starts_with("\r\033[Kx  33%")) << text;
  EXPECT_NE(text.find("\r\033[Ka message\n\r\033[Kx  33%"), text.npos) << text;
  EXPECT_NE(text.find("\r\033[Kx 100%"), text.npos) << text;
  EXPECT_TRUE(text.ends_with("]\n")) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(Progress, LeavesAFreshLineWhenItIsCutShort) {
  const std::string text = printed({true, false, 0}, false);
  EXPECT_TRUE(text.ends_with("\n")) << text;
}

TEST(Progress, PrintsPlainLinesElsewhere) {
  const std::string text = printed({false, false, 0}, true);
  EXPECT_TRUE(text.starts_with("x  33% 1/3 [")) << text;
  EXPECT_EQ(text.find_first_of("\r\033"), text.npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3) << text;
  EXPECT_NE(text.find("loss=0.25]\n"), text.npos) << text;
}

TEST(Progress, IsSparingElsewhereButShowsTheEnd) {
  const std::string text = printed({false, false, 3600}, true);
  EXPECT_EQ(text.find("x  33%"), text.npos) << text;
  EXPECT_NE(text.find("x 100% 3/3 ["), text.npos) << text;
}

// Reads until the text has come; without it, for ever.
TEST(Progress, DrawsAlsoWhileNoUpdateComes) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const int before = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  std::string text;
  {
    Progress progress("x", 3, 0, {false, false, 3600, 0.001});
    progress.update(1, {});
    const std::string wanted = "x  33% 1/3 [";
    for (char c; text.find(wanted, text.find(wanted) + 1) == text.npos && ::read(ends[0], &c, 1) == 1;)
      text += c;
  }
  ::dup2(before, STDERR_FILENO);
  for (const int one : {before, ends[0], ends[1]}) ::close(one);
  EXPECT_EQ(text.find_first_of("\r\033"), text.npos) << text;
}

TEST(Progress, QuietPrintsMessagesOnly) { EXPECT_EQ(printed({true, true, 0}, true), "a message\n"); }

TEST(Progress, WidthFollowsColumns) {
  ::setenv("COLUMNS", "33", 1);
  EXPECT_EQ(terminal_columns(), 33);
  ::setenv("COLUMNS", "wide", 1);
  EXPECT_GT(terminal_columns(), 0);
}

}  // namespace
}  // namespace foil
