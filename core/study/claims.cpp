// SPDX-License-Identifier: BSD-3-Clause
// Names that are made once, and a thread that keeps those of this process alive.
#include "study/claims.h"

#include "run/file.h"
#include "run/json.h"
#include "run/temporary.h"

#include <foil/error.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace foil {
namespace {

namespace fs = std::filesystem;
using State = Claims::State;

// By State, as a file says it.
constexpr const char* kStates[] = {"stopped", "", "complete", "failed", "pruned"};

bool is_there(const std::string& path) {
  struct stat file {};
  return ::stat(path.c_str(), &file) == 0;
}

// Creates `path` with these bytes, whole from its first moment; false when it is there.
bool create_once(const std::string& path, const std::string& bytes) {
  const Temporary made = create_temporary(path, bytes.size());
  const bool written =
      ::write(made.descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
      ::fsync(made.descriptor) == 0;
  const int write_error = errno;
  const bool linked = written && ::link(made.name.c_str(), path.c_str()) == 0;
  const int link_error = errno;
  struct stat file {};
  // Over a network the answer may get lost after the link was made: then the file has two names.
  const bool ours = linked || (::fstat(made.descriptor, &file) == 0 && file.st_nlink == 2);
  ::close(made.descriptor);
  ::unlink(made.name.c_str());
  if (!written) fail(Exit::failure, path, ": cannot be written: ", std::strerror(write_error), ".");
  if (!ours && link_error != EEXIST)
    fail(Exit::failure, path, ": cannot be created: ", std::strerror(link_error), ".");
  return ours;
}

}  // namespace

// Touches the attempts of this process. Where one has a successor, others took this process for dead: its
// machine slept, or was cut off, for longer than the silence. What it would write now would be written over
// theirs, so it ends at once, and its trials with it.
class Claims::Heart {
 public:
  explicit Heart(std::chrono::milliseconds beat)
      : thread_([this, beat] {
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, beat, [this] { return stopped_; }))
            for (const auto& [attempt, next] : files_) touch(attempt, next);
        }) {}
  ~Heart() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  void add(const std::string& attempt, const std::string& next) {
    const std::lock_guard lock(mutex_);
    files_[attempt] = next;
  }
  void remove(const std::string& attempt) {
    const std::lock_guard lock(mutex_);
    files_.erase(attempt);
  }

 private:
  static void touch(const std::string& attempt, const std::string& next) {
    if (is_there(next)) {
      std::fprintf(stderr, "%s: was taken over by %s; this process stops at once\n", attempt.c_str(),
                   text_of(holder_in(content_of(next), next)).c_str());
      ::_exit(static_cast<int>(Exit::failure));
    }
    ::utimensat(AT_FDCWD, attempt.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::map<std::string, std::string> files_;  // of an attempt, and of the one after it
  std::thread thread_;                        // last: it uses what is above
};

Claims::Claims(std::string folder, Pace pace)
    : folder_(std::move(folder) + "/claims"), pace_(pace), heart_(std::make_unique<Heart>(pace.beat)) {}

Claims::~Claims() = default;

std::string Claims::path(const std::string& trial, int attempt) const {
  return folder_ + "/" + trial + "/" + std::to_string(attempt);
}

Claims::Look Claims::look(const std::string& trial) const {
  Look look;
  for (; is_there(path(trial, look.attempts + 1)); ++look.attempts) {
    const std::string file = path(trial, look.attempts + 1), ended = file + ".ended";
    look.state = State::open;
    if (is_there(ended)) {
      try {
        const nlohmann::json json = parse_json(read_record(ended), ended);
        const std::string state = json.at("state");
        look.reason = json.at("reason");
        look.config = json.at("config");
        look.seconds += json.at("seconds").get<double>();
        for (const State known : {State::complete, State::failed, State::pruned})
          if (state == kStates[static_cast<size_t>(known)]) look.state = known;
        continue;
      } catch (const nlohmann::json::exception& error) {
        fail(Exit::data, ended, ": not the end of an attempt: ", complaint(error));
      }
    }
    if (!is_there(path(trial, look.attempts + 2)) && living_holder(file, pace_.silence).process != 0)
      look.state = State::taken;
  }
  return look;
}

bool Claims::take(const std::string& trial, const Look& look) {
  fs::create_directories(folder_ + "/" + trial);
  const std::string file = path(trial, look.attempts + 1);
  if (!create_once(file, record_of(this_process()))) return false;
  held_[trial] = {look.attempts + 1, std::chrono::steady_clock::now()};
  heart_->add(file, path(trial, look.attempts + 2));
  return true;
}

void Claims::end(const std::string& trial, State state, const std::string& config,
                 const std::string& reason) {
  const Held held = held_.at(trial);
  const std::string file = path(trial, held.attempt);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - held.begin).count();
  write_atomically(file + ".ended", dump_json({{"state", kStates[static_cast<size_t>(state)]},
                                               {"config", config},
                                               {"reason", reason},
                                               {"seconds", seconds},
                                               {"utc", utc_now()}}) +
                                        "\n");
  heart_->remove(file);
  held_.erase(trial);
}

Holder Claims::worker_in(const std::string& folder, Pace pace) {
  const std::string claims = folder + "/claims";
  std::error_code none;
  for (auto trial = fs::directory_iterator(claims, none); !none && trial != fs::directory_iterator();
       trial.increment(none)) {
    int last = 0;
    while (is_there(trial->path().string() + "/" + std::to_string(last + 1))) ++last;
    const std::string file = trial->path().string() + "/" + std::to_string(last);
    if (last == 0 || is_there(file + ".ended")) continue;
    if (const Holder holder = living_holder(file, pace.silence); holder.process != 0) return holder;
  }
  return {};
}

}  // namespace foil
