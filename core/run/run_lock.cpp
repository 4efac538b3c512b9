// SPDX-License-Identifier: BSD-3-Clause
// Two locks of the kernel lie on the file: on its first byte while the run lives, on its second while
// somebody looks and decides, so that two processes cannot both take over the same dead one. Both belong to
// the open file, not to the process.
#include "run/run_lock.h"

#include "run/holder.h"

#include <foil/error.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

namespace foil {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Say = std::function<void(const std::string&)>;

enum Byte : off_t { living, deciding };

enum class Lock { taken, held, unknown };  // unknown: this file system has no locks

struct flock on_byte(Byte byte, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  return lock;
}

// `held` when another open file has it.
Lock lock_byte(int descriptor, Byte byte) {
  struct flock lock = on_byte(byte, F_WRLCK);
  while (::fcntl(descriptor, F_OFD_SETLK, &lock) != 0) {
    if (errno != EINTR) return errno == EAGAIN || errno == EACCES ? Lock::held : Lock::unknown;
  }
  return Lock::taken;
}

void unlock_byte(int descriptor, Byte byte) {
  struct flock lock = on_byte(byte, F_UNLCK);
  ::fcntl(descriptor, F_OFD_SETLK, &lock);
}

int open_lock(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (descriptor < 0) fail(Exit::failure, path, ": cannot create the lock: ", std::strerror(errno));
  return descriptor;
}

bool is_still_there(int descriptor, const std::string& path) {
  struct stat ours {};
  struct stat there {};
  return ::fstat(descriptor, &ours) == 0 && ::stat(path.c_str(), &there) == 0 &&
         ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

std::string seconds(milliseconds time) { return std::to_string((time.count() + 999) / 1000) + " s"; }

// Waits until a holder that cannot be asked has been silent for long enough; throws when it gives a sign of
// life.
void wait_for_silence(const Holder& holder, const std::string& path, milliseconds silence, const Say& say) {
  const std::string folder = fs::path(path).parent_path();
  const Sign first = last_sign(path);
  const auto end = std::chrono::steady_clock::now() + silence - std::max(first.age, milliseconds(0));
  if (first.age < silence && say) {
    say(folder + ": locked by " + text_of(holder) +
        ", which cannot be asked from here; its last sign of life was " + seconds(first.age) +
        " ago: waiting " + seconds(silence - first.age) + " for another");
  }
  while (std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::min(silence, milliseconds(500)));
    if (last_sign(path).time != first.time)
      fail(Exit::failure, folder, ": another run is working here: ", text_of(holder),
           ", which has just given a sign of life");
  }
}

// Throws when the holder that `path` names may be alive; says so when it is dead. `locks`: this file
// system has locks of the kernel, and no run that lives holds this one.
void check_holder(const Holder& own, const std::string& path, bool locks, milliseconds silence,
                  const Say& say) {
  const Holder holder = holder_in(content_of(path), path);
  if (holder.process == 0) return;
  const std::string folder = fs::path(path).parent_path();
  const bool asked = can_be_asked(holder, own);
  if (asked && alive(holder)) fail(Exit::failure, folder, ": another run is working here: ", text_of(holder));
  const bool dead = asked || (holder.boot == own.boot && locks);
  if (!dead) wait_for_silence(holder, path, silence, say);
  if (say) {
    const std::string who = asked ? "process " + std::to_string(holder.process) : text_of(holder);
    say(folder + ": took over the lock of " + who +
        (dead ? ", which is dead" : ", which has given no sign of life for " + seconds(silence)));
  }
}

// The second byte, which others hold for moments, or while they wait for a silence.
void begin_to_decide(int descriptor, const std::string& path, const Say& say) {
  for (int i = 0; lock_byte(descriptor, deciding) == Lock::held; ++i) {
    if (i == 100 && say)
      say(std::string(fs::path(path).parent_path()) + ": waiting for another process that looks at the lock");
    std::this_thread::sleep_for(milliseconds(10));
  }
}

}  // namespace

// Gives the signs of life, and ends the process when the lock has become another's: the machine slept, or was
// cut off, for longer than the silence after which others take over. What it would write now would be written
// over theirs.
class RunLock::Heart {
 public:
  Heart(const std::string& path, int descriptor, std::string record, milliseconds beat)
      : thread_([this, path, descriptor, record = std::move(record), beat] {
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, beat, [this] { return stopped_; })) {
            const std::string now = content_of(path);  // empty while the folder is out of reach, or renamed
            if (!now.empty() && now + "\n" != record) {
              std::fprintf(stderr, "%s: the lock was taken over by %s; this run stops at once\n",
                           path.c_str(), text_of(holder_in(now, path)).c_str());
              ::_exit(static_cast<int>(Exit::failure));
            }
            ::futimens(descriptor, nullptr);
          }
        }) {}
  ~Heart() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::thread thread_;  // last: it uses what is above
};

RunLock::RunLock(const std::string& path, const std::function<void(const std::string&)>& say, Pace pace)
    : path_(path), process_(::getpid()) {
  do {
    if (descriptor_ >= 0)
      ::close(descriptor_);  // its holder removed the file before this one had a lock on it
    descriptor_ = open_lock(path);
    begin_to_decide(descriptor_, path, say);
  } while (!is_still_there(descriptor_, path));
  try {
    const Lock lock = lock_byte(descriptor_, living);
    if (lock == Lock::held)
      fail(Exit::failure, std::string(fs::path(path).parent_path()),
           ": another run is working here: ", text_of(holder_in(content_of(path), path)));
    const Holder own = this_process();
    check_holder(own, path, lock == Lock::taken, pace.silence, say);
    const std::string record = record_of(own);
    if (::ftruncate(descriptor_, 0) < 0 ||
        ::pwrite(descriptor_, record.data(), record.size(), 0) != static_cast<ssize_t>(record.size())) {
      fail(Exit::failure, path, ": cannot write the lock: ", std::strerror(errno));
    }
    unlock_byte(descriptor_, deciding);
    heart_ = new Heart(path, descriptor_, record, pace.beat);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

RunLock::~RunLock() {
  if (::getpid() == process_) {
    delete heart_;
    if (content_of(path_) + "\n" == record_of(this_process())) ::unlink(path_.c_str());
  }
  ::close(descriptor_);
}

}  // namespace foil
