// SPDX-License-Identifier: BSD-3-Clause
// One thread looks after all lanes: it hands on requests to stop, passes on what trials print, and asks for
// their ends, fifty times a second. A trial that failed says why in a file that the variable of torchrun
// names to its processes.
#include "program/lanes.h"

#include "ranks/child.h"
#include "run/file.h"
#include "run/json.h"
#include "run/text.h"

#include <foil/error.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <utility>

namespace foil {
namespace {

namespace fs = std::filesystem;

constexpr int kLook = 20;  // milliseconds between two looks

// A file that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int file) : file_(file) {}
  ~Descriptor() {
    if (file_ >= 0) ::close(file_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return file_; }
  int release() { return std::exchange(file_, -1); }

 private:
  int file_;
};

std::string scratch_folder() {
  std::string name = fs::temp_directory_path() / "foil-XXXXXX";
  if (!::mkdtemp(name.data())) fail(Exit::failure, name, ": cannot be created: ", std::strerror(errno), ".");
  return name;
}

int code_of(int signal) { return static_cast<int>(signal == SIGINT ? Exit::interrupted : Exit::again); }

}  // namespace

std::vector<std::string> cuda_devices(const char* visible, int count) {
  std::vector<std::string> devices;
  if (visible) {
    std::istringstream names(visible);
    for (std::string name; std::getline(names, name, ',');) devices.push_back(name);
  }
  if (!visible || static_cast<int>(devices.size()) > count)  // those that it names and that are not there
    devices.resize(static_cast<size_t>(count));
  for (size_t i = 0; i < devices.size(); ++i)
    if (devices[i].empty()) devices[i] = std::to_string(i);
  return devices;
}

std::vector<std::string> share_devices(const std::vector<std::string>& devices, int lanes, int ranks,
                                       int per_gpu) {
  if (devices.empty()) return {};
  const size_t each = std::min(static_cast<size_t>(ranks), devices.size()), places = devices.size() / each;
  if (static_cast<size_t>(lanes) > places * static_cast<size_t>(per_gpu)) {
    fail(Exit::usage, "--parallel ", lanes, ": on ", devices.size(), " CUDA devices, ", each,
         " for a trial and ", per_gpu, " trials on a device, allowed: at most ",
         places * static_cast<size_t>(per_gpu), ". --per-gpu lets more trials share a device.");
  }
  std::vector<std::string> shares(static_cast<size_t>(lanes));
  for (size_t lane = 0; lane < shares.size(); ++lane) {
    for (size_t i = 0; i < each; ++i) shares[lane] += (i ? "," : "") + devices[lane % places * each + i];
  }
  return shares;
}

Lanes::Lanes(Options options, Arguments arguments)
    : options_(std::move(options)),
      arguments_(std::move(arguments)),
      scratch_(scratch_folder()),
      lanes_(static_cast<size_t>(options_.lanes)) {}

Lanes::~Lanes() {
  for (Lane& lane : lanes_) {
    if (lane.process > 0) {
      ::kill(lane.process, SIGKILL);
      ::waitpid(lane.process, nullptr, 0);
    }
    if (lane.output >= 0) ::close(lane.output);
  }
  std::error_code ignored;
  fs::remove_all(scratch_, ignored);
}

bool Lanes::free() const {
  return std::any_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.process == 0; });
}

std::string Lanes::words_file(size_t lane) const {
  return scratch_ + "/lane-" + std::to_string(lane) + ".json";
}

// Why the processes of a lane failed; empty when they did not say it.
std::string Lanes::last_words(size_t lane) const {
  try {
    const std::string path = words_file(lane);
    return parse_json(read_record(path), path).at("message").at("message").get<std::string>();
  } catch (const std::exception&) {
    return "";
  }
}

void Lanes::start(const PlannedTrial& trial, const std::string& folder) {
  const auto place = std::find_if(lanes_.begin(), lanes_.end(), [](const Lane& l) { return l.process == 0; });
  const auto index = static_cast<size_t>(place - lanes_.begin());
  const int share = std::max(1, options_.cores / options_.lanes);
  Child child{arguments_(trial, folder),
              {{"WORLD_SIZE", "1"},
               {"LOCAL_WORLD_SIZE", "1"},
               {"RANK", "0"},
               {"LOCAL_RANK", "0"},
               {"FOIL_LAUNCHER", "--nproc"},
               {"TORCHELASTIC_ERROR_FILE", words_file(index)}}};
  if (options_.lanes > 1) child.variables["FOIL_CORES"] = std::to_string(share);
  if (!std::getenv("OMP_NUM_THREADS"))
    child.variables["OMP_NUM_THREADS"] = std::to_string(std::max(1, share / options_.ranks));
  if (!options_.devices.empty()) child.variables["CUDA_VISIBLE_DEVICES"] = options_.devices[index];

  const Descriptor nowhere(options_.quiet ? ::open("/dev/null", O_WRONLY | O_CLOEXEC) : -1);
  int ends[2] = {-1, -1};
  if (options_.lanes > 1 && ::pipe2(ends, O_CLOEXEC) != 0)
    fail(Exit::failure, "--parallel: no pipe can be made: ", std::strerror(errno), ".");
  Descriptor from(ends[0]);
  const Descriptor to(ends[1]);
  child.error = to.get();
  child.out = nowhere.get() >= 0 ? nowhere.get() : to.get() >= 0 ? to.get() : STDERR_FILENO;
  std::error_code none_there;
  fs::remove(words_file(index), none_there);
  sigset_t mask;
  ::sigprocmask(SIG_SETMASK, nullptr, &mask);
  std::fflush(stdout);
  place->process = start_child(child, mask, "foil ablate");
  place->trial = trial.name;
  if (from.get() >= 0) ::fcntl(from.get(), F_SETFL, O_NONBLOCK);
  place->output = from.release();
  if (sent_ != 0) ::kill(place->process, sent_);
}

int Lanes::asked() const {
  const Stop stop = signals_.requested();
  if (stop == Stop::none) return 0;
  return static_cast<int>(stop == Stop::interrupt ? Exit::interrupted : Exit::again);
}

void Lanes::ask(int code) {
  const int signal = code == static_cast<int>(Exit::interrupted) ? SIGINT : SIGTERM;
  if (sent_ == SIGINT || sent_ == signal) return;  // an interruption outweighs the other
  sent_ = signal;
  for (const Lane& lane : lanes_)
    if (lane.process > 0) ::kill(lane.process, signal);
}

void Lanes::end(const std::string& trial) {
  for (Lane& lane : lanes_)
    if (lane.process > 0 && lane.trial == trial) ::kill(lane.process, lane.sent = SIGTERM);
}

void Lanes::forward_requests() {
  if (const int code = asked(); code != 0) ask(code);
}

void Lanes::read(Lane& lane) {
  if (lane.output < 0) return;
  char bytes[4096];
  ssize_t n = 0;
  while ((n = ::read(lane.output, bytes, sizeof bytes)) > 0) lane.line.append(bytes, static_cast<size_t>(n));
  if (n == 0) {  // nobody writes any more
    ::close(std::exchange(lane.output, -1));
    if (!lane.line.empty() && !lane.line.ends_with('\n')) lane.line += '\n';
  }
  std::string text;
  for (size_t end; (end = lane.line.find('\n')) != std::string::npos; lane.line.erase(0, end + 1))
    text += printable(lane.trial) + ": " + lane.line.substr(0, end + 1);
  std::fputs(text.c_str(), stderr);
}

std::optional<TrialEnd> Lanes::end_of(size_t index) {
  Lane& lane = lanes_[index];
  int status = 0;
  if (lane.process == 0 || ::waitpid(lane.process, &status, WNOHANG) != lane.process) return std::nullopt;
  read(lane);
  if (lane.output >= 0) ::close(lane.output);
  TrialEnd end{lane.trial};
  const int sent = lane.sent != 0 ? lane.sent : sent_;
  lane = Lane();
  if (WIFSIGNALED(status)) {
    // One that the request itself ended came to it before it could take requests: it stopped as asked.
    const int signal = WTERMSIG(status);
    end.code = signal == sent ? code_of(signal) : 128 + signal;
  } else {
    end.code = WEXITSTATUS(status);
  }
  if (end.code != 0 && !is_stop(end.code)) end.reason = last_words(index);
  return end;
}

std::optional<TrialEnd> Lanes::wait() {
  forward_requests();
  for (size_t i = 0; i < lanes_.size(); ++i) {
    read(lanes_[i]);
    if (auto end = end_of(i)) return end;
  }
  std::vector<pollfd> outputs;
  for (const Lane& lane : lanes_)
    if (lane.output >= 0) outputs.push_back({lane.output, POLLIN, 0});
  ::poll(outputs.data(), outputs.size(), kLook);
  return std::nullopt;
}

}  // namespace foil
