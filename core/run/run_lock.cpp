// SPDX-License-Identifier: BSD-3-Clause
// Looking at the lock and writing it are one step under flock, so that two processes cannot both take over the same dead one.
#include "run/run_lock.h"

#include <foil/error.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "run/file.h"
#include "run/json.h"

namespace foil {
namespace {

std::string host_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  return name;
}

// "BOOT START" of a live process: the boot of the machine and the clock tick at which the process began. Empty when there is no
// such process; a zombie is dead.
std::string start_of(int64_t process) {
  const std::string stat = "/proc/" + std::to_string(process) + "/stat";
  std::string text;
  try {
    text = read_file(stat);
  } catch (const Error&) {
    return "";
  }
  // "PID (name, which may hold anything) state ppid ... starttime(22nd)".
  const size_t name_end = text.rfind(')');
  if (name_end == text.npos) return "";
  std::istringstream fields(text.substr(name_end + 1));
  std::string state, field;
  fields >> state;
  for (int i = 4; i <= 22; ++i) fields >> field;
  if (state == "Z" || state == "X") return "";
  std::string boot =
      std::filesystem::exists("/proc/sys/kernel/random/boot_id") ? read_file("/proc/sys/kernel/random/boot_id") : "\n";
  boot.pop_back();
  return boot + " " + field;
}

bool alive(int64_t process, const std::string& start) {
  const bool out_of_reach = ::kill(static_cast<pid_t>(process), 0) < 0;
  if (out_of_reach && errno == ESRCH) return false;
  const std::string now = start_of(process);
  return now == start || (out_of_reach && now.empty());  // /proc may hide what another user runs
}

// What this process writes into its locks.
std::string own_text() { return dump_json({{"host", host_name()}, {"pid", ::getpid()}, {"start", start_of(::getpid())}}) + "\n"; }

// A descriptor of the lock file that is still the one at `path` once flock has it.
int open_guarded(const std::string& path) {
  for (;;) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) fail(Exit::failure, path, ": cannot create the lock: ", std::strerror(errno));
    ::flock(descriptor, LOCK_EX);  // a file system without flock leaves a window of microseconds
    struct stat ours, there;
    if (::fstat(descriptor, &ours) == 0 && ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino) return descriptor;
    ::close(descriptor);  // its holder removed it in between
  }
}

// Throws when the holder in `text` may be alive; says so when it is dead.
void check_holder(const std::string& text, const std::string& path, const std::function<void(const std::string&)>& say) {
  std::string host, start;
  int64_t process = 0;
  try {
    const nlohmann::json holder = parse_json(text, path);
    holder.at("host").get_to(host);
    holder.at("pid").get_to(process);
    holder.at("start").get_to(start);
  } catch (const std::exception&) {
    return;  // empty, or cut short by a kill: nobody holds it
  }
  const std::string folder = std::filesystem::path(path).parent_path();
  if (host != host_name()) {
    fail(Exit::failure, folder, ": locked by process ", process, " on host ", host,
         ", which cannot be asked from here. If that run is dead, remove ", path);
  }
  if (alive(process, start)) fail(Exit::failure, folder, ": another run is working here: process ", process, " on host ", host);
  if (say) say(folder + ": took over the lock of process " + std::to_string(process) + ", which is dead");
}

}  // namespace

RunLock::RunLock(const std::string& path, const std::function<void(const std::string&)>& say) : path_(path) {
  const int descriptor = open_guarded(path);
  try {
    check_holder(read_file(path), path, say);
    const std::string text = own_text();
    if (::ftruncate(descriptor, 0) < 0 || ::pwrite(descriptor, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
      fail(Exit::failure, path, ": cannot write the lock: ", std::strerror(errno));
    }
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
}

RunLock::~RunLock() {
  try {
    if (read_file(path_) == own_text()) ::unlink(path_.c_str());
  } catch (const Error&) {  // removed already: nothing is locked
  }
}

}  // namespace foil
