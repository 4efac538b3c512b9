// SPDX-License-Identifier: BSD-3-Clause
// What /proc tells of a process of this kernel, and the modification time of a file of any other.
#include "run/holder.h"

#include "run/file.h"
#include "run/json.h"
#include "run/temporary.h"

#include <foil/error.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>

namespace foil {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// The clock tick at which a live process began; empty when there is no such process; a zombie is dead.
std::string start_of(int64_t process) {
  // "PID (name, which may hold anything) state ppid ... starttime(22nd)".
  const std::string text = content_of("/proc/" + std::to_string(process) + "/stat");
  const size_t name_end = text.rfind(')');
  if (name_end == text.npos) return "";
  std::istringstream fields(text.substr(name_end + 1));
  std::string state, field;
  fields >> state;
  for (int i = 4; i <= 22; ++i) fields >> field;
  return state == "Z" || state == "X" ? "" : field;
}

milliseconds time_of(const timespec& time) {
  return milliseconds(time.tv_sec * 1000 + time.tv_nsec / 1'000'000);
}

}  // namespace

std::string content_of(const std::string& file) {
  try {
    std::string text = read_file(file);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  } catch (const Error&) {
    return "";
  }
}

Holder this_process() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  std::error_code ignored;
  return {name, content_of("/proc/sys/kernel/random/boot_id"),
          fs::read_symlink("/proc/self/ns/pid", ignored).string(), start_of(::getpid()), ::getpid()};
}

std::string record_of(const Holder& holder) {
  return dump_json({{"host", holder.host},
                    {"pid", holder.process},
                    {"start", holder.boot + " " + holder.start},
                    {"pids", holder.pids}}) +
         "\n";
}

Holder holder_in(const std::string& text, const std::string& path) {
  try {
    const nlohmann::json json = parse_json(text, path);
    const std::string start = json.at("start");
    const size_t space = std::min(start.rfind(' '), start.size());
    Holder holder{json.at("host"), start.substr(0, space), json.value("pids", ""), start.substr(space),
                  json.at("pid")};
    if (!holder.start.empty()) holder.start.erase(0, 1);
    return holder.process > 0 ? holder : Holder();
  } catch (const std::exception&) {
    return {};
  }
}

std::string text_of(const Holder& holder) {
  return "process " + std::to_string(holder.process) + " on host " + holder.host;
}

bool can_be_asked(const Holder& holder, const Holder& own) {
  return holder.boot == own.boot && (holder.pids == own.pids || holder.pids.empty());
}

bool alive(const Holder& holder) {
  const bool out_of_reach = ::kill(static_cast<pid_t>(holder.process), 0) < 0;
  if (out_of_reach && errno == ESRCH) return false;
  const std::string now = start_of(holder.process);
  return now == holder.start || (out_of_reach && now.empty());  // /proc may hide what another user runs
}

Sign last_sign(const std::string& path) {
  const Temporary now = create_temporary(path);
  struct stat then {};
  struct stat at {};
  const int again = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  const bool known = ::fstat(again, &then) == 0 && ::fstat(now.descriptor, &at) == 0;
  if (again >= 0) ::close(again);
  ::close(now.descriptor);
  ::unlink(now.name.c_str());
  if (!known) fail(Exit::failure, path, ": is gone while another process looked at it");
  return {time_of(then.st_mtim), time_of(at.st_mtim) - time_of(then.st_mtim)};
}

Holder living_holder(const std::string& path, milliseconds silence) {
  const Holder holder = holder_in(content_of(path), path);
  if (holder.process == 0) return {};
  if (can_be_asked(holder, this_process())) return alive(holder) ? holder : Holder();
  try {
    return last_sign(path).age < silence ? holder : Holder();
  } catch (const Error&) {  // given back meanwhile
    return {};
  }
}

}  // namespace foil
