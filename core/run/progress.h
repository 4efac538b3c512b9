// SPDX-License-Identifier: BSD-3-Clause
// The progress line on stderr, in the manner of tqdm: one line that redraws itself on a terminal, a plain
// line now and then elsewhere. Where no update comes, the line is drawn now and then all the same: its clock
// tells a wait from an end. No colour, so NO_COLOR has nothing to switch off.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace foil {

using ProgressValues = std::vector<std::pair<std::string, double>>;

// "train  34%|███▍      | 871/2600 [00:49<01:37, 17.8it/s, loss=1.36]", in at most `columns` columns: the bar
// takes what is left (ten at most), goes when that is too little, and then the end is cut. `start` is where
// this process began counting: the rate is (done - start) / seconds. Without columns (0): no bar, uncut.
std::string progress_line(const std::string& what, int64_t done, int64_t total, int64_t start, double seconds,
                          const ProgressValues& values, int columns);

// The width of stderr: COLUMNS when it is set, what the terminal says, or 80.
int terminal_columns();

class Progress {
 public:
  struct Options {
    bool terminal = false;
    bool quiet = false;
    double seconds_between_lines = 10;  // when not on a terminal
    double seconds_of_silence = 10;     // without an update, before the line is drawn all the same
  };
  // What fits this process: a terminal when stderr is one that can go back to the start of a line.
  static Options options_for_stderr(bool quiet);

  Progress(std::string what, int64_t total, int64_t start, Options options);
  ~Progress();  // leaves the cursor on a fresh line, also when an error cut the work short
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done, const ProgressValues& values);  // cheap: draws ten times a second at most
  void message(const std::string& text);  // a line of its own above the bar; shown even when quiet
  void finish();                          // the last state, and a new line

 private:
  void draw();
  void keep_drawing();

  std::string what_;
  int64_t total_, start_, done_;
  Options options_;
  ProgressValues values_;
  std::chrono::steady_clock::time_point began_, due_, spoke_;  // spoke_: was updated or drawn
  bool drawn_ = false;                                         // what is on the line is the state now
  bool line_open_ = false;                                     // the cursor is behind a bar
  bool ended_ = false;
  std::mutex mutex_;  // guards all of it
  std::condition_variable end_;
  std::thread keeper_;  // last: it uses what is above
};

}  // namespace foil
