// SPDX-License-Identifier: BSD-3-Clause
// Progress: a pure function makes the line, a small class decides when to print it.
#include "run/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace foil {
namespace {

constexpr int kWidestBar = 10, kNarrowestBar = 4;
constexpr double kSecondsBetweenDraws = 0.1;

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds);
  return s < 3600 ? fmt::format("{:02d}:{:02d}", s / 60, s % 60)
                  : fmt::format("{}:{:02d}:{:02d}", s / 3600, s / 60 % 60, s % 60);
}

// "17.8it/s", "1234it/s"; slower than one a second, "2.50s/it".
std::string rate_text(double rate) {
  if (!(rate > 0)) return "?it/s";
  const double shown = rate < 1 ? 1 / rate : rate;
  const int decimals = (shown < 9.995) + (shown < 99.95);
  return fmt::format("{:.{}f}{}", shown, decimals, rate < 1 ? "s/it" : "it/s");
}

std::string bar_of(double fraction, int width) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(fraction * width * 8);
  std::string bar;
  for (int i = 0; i < eighths / 8; ++i) bar += "█";
  bar += kEighths[eighths % 8];
  return bar + std::string(static_cast<size_t>(width - (eighths + 7) / 8), ' ');
}

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }  // in UTF-8

int columns_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string cut(std::string text, int columns) {
  size_t at = 0;
  while (at < text.size() && (columns > 0 || !starts_character(text[at])))
    columns -= starts_character(text[at++]);
  text.resize(at);
  return text;
}

std::chrono::steady_clock::duration duration_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double>(seconds));
}

}  // namespace

std::string progress_line(const std::string& what, int64_t done, int64_t total, int64_t start, double seconds,
                          const ProgressValues& values, int columns) {
  const double fraction =
      total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 1.0;
  const double rate = seconds > 0 ? static_cast<double>(done - start) / seconds : 0;
  const std::string left =
      rate > 0 ? clock_text(static_cast<double>(std::max<int64_t>(total - done, 0)) / rate) : "?";
  const std::string head = fmt::format("{} {:3d}%", what, static_cast<int>(fraction * 100));
  std::string tail =
      fmt::format(" {}/{} [{}<{}, {}", done, total, clock_text(seconds), left, rate_text(rate));
  for (const auto& [name, value] : values) tail += fmt::format(", {}={:.3g}", name, value);
  tail += "]";
  const int bar = std::min(columns - columns_of(head) - columns_of(tail) - 2, kWidestBar);
  if (bar >= kNarrowestBar) return head + "|" + bar_of(fraction, bar) + "|" + tail;
  return columns > 0 ? cut(head + tail, columns) : head + tail;
}

int terminal_columns() {
  const char* wish = std::getenv("COLUMNS");
  const int columns = wish ? std::atoi(wish) : 0;
  if (columns > 0) return columns;
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

Progress::Options Progress::options_for_stderr(bool quiet) {
  const char* terminal = std::getenv("TERM");
  return {::isatty(STDERR_FILENO) && terminal && std::string_view(terminal) != "dumb", quiet};
}

Progress::Progress(std::string what, int64_t total, int64_t start, Options options)
    : what_(std::move(what)),
      total_(total),
      start_(start),
      done_(start),
      options_(options),
      began_(std::chrono::steady_clock::now()),
      due_(options.terminal ? began_ : began_ + duration_of(options.seconds_between_lines)),
      spoke_(began_) {
  if (!options_.quiet) keeper_ = std::thread([this] { keep_drawing(); });
}

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  end_.notify_all();
  if (keeper_.joinable()) keeper_.join();
  if (line_open_) std::fputc('\n', stderr);
}

void Progress::keep_drawing() {
  const auto silence = duration_of(options_.seconds_of_silence);
  std::unique_lock lock(mutex_);
  while (!end_.wait_until(lock, spoke_ + silence, [this] { return ended_; })) {
    if (std::chrono::steady_clock::now() >= spoke_ + silence) draw();  // else it was updated meanwhile
  }
}

void Progress::update(int64_t done, const ProgressValues& values) {
  const std::lock_guard lock(mutex_);
  done_ = done;
  values_ = values;
  drawn_ = false;
  const auto now = std::chrono::steady_clock::now();
  spoke_ = now;
  if (now < due_) return;
  due_ = now + duration_of(options_.terminal ? kSecondsBetweenDraws : options_.seconds_between_lines);
  draw();
}

void Progress::message(const std::string& text) {
  const std::lock_guard lock(mutex_);
  std::fprintf(stderr, "%s%s\n", line_open_ ? "\r\033[K" : "", text.c_str());
  if (std::exchange(line_open_, false)) draw();
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (!drawn_) draw();
  if (std::exchange(line_open_, false)) std::fputc('\n', stderr);
}

void Progress::draw() {
  if (options_.quiet) return;
  spoke_ = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(spoke_ - began_).count();
  const int columns =
      options_.terminal ? terminal_columns() - 1 : 0;  // a full last column would wrap on some terminals
  const std::string line = progress_line(what_, done_, total_, start_, seconds, values_, columns);
  if (options_.terminal) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
  line_open_ = options_.terminal;
  drawn_ = true;
}

}  // namespace foil
