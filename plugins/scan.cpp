// SPDX-License-Identifier: BSD-3-Clause
// Libraries tried one by one in processes of their own, so that one that crashes is named.
#include "scan.h"

#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace foil {
namespace {

constexpr unsigned patience = 30;  // seconds

// The child: loads, and says on the pipe what came of it.
[[noreturn]] void load_and_tell(const std::string& file, Registry& registry, bool trust, int pipe) {
  ::alarm(patience);
  nlohmann::json told = {{"components", nlohmann::json::array()}};
  try {
    load_plugin(file, registry, trust);
    for (const Component* c : registry.all()) {
      if (c->origin == file) told["components"].push_back({c->kind, c->name});
    }
  } catch (const std::exception& error) {
    told["refused"] = error.what();
  }
  const std::string text = told.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const bool written = ::write(pipe, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::_exit(written ? 0 : 1);  // neither exit handlers nor destructors of this copy of the process
}

std::string read_to_end(int pipe) {
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t n; (n = ::read(pipe, buffer.data(), buffer.size())) > 0 || (n < 0 && errno == EINTR);) {
    if (n > 0) text.append(buffer.data(), static_cast<size_t>(n));
  }
  return text;
}

// Why a child said nothing.
std::string ending(int status) {
  if (!WIFSIGNALED(status))
    return "ended the process while it was loaded (exit code " + std::to_string(WEXITSTATUS(status)) + ").";
  if (WTERMSIG(status) == SIGALRM) return "was not loaded after " + std::to_string(patience) + " seconds.";
  return std::string("crashed while it was loaded (") + ::strsignal(WTERMSIG(status)) + ").";
}

// Empty when the library was accepted.
std::string scan(const std::string& file, Registry& registry, bool trust) {
  int ends[2];
  if (::pipe(ends) != 0) fail(Exit::failure, file, ": cannot be scanned: ", std::strerror(errno), ".");
  const pid_t child = ::fork();
  if (child < 0) fail(Exit::failure, file, ": cannot be scanned: ", std::strerror(errno), ".");
  if (child == 0) {
    ::close(ends[0]);
    load_and_tell(file, registry, trust, ends[1]);
  }
  ::close(ends[1]);
  const std::string text = read_to_end(ends[0]);
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const nlohmann::json told = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (status != 0 || told.is_discarded()) return file + ": " + ending(status);
  if (told.contains("refused")) return told["refused"];
  std::vector<Component> components;
  for (const auto& component : told["components"]) {
    components.emplace_back();
    components.back().kind = component[0];
    components.back().name = component[1];
  }
  registry.add(file, std::move(components));
  return "";
}

}  // namespace

std::vector<Refused> scan_plugins(const std::vector<std::string>& folders, Registry& registry, bool trust) {
  std::vector<Refused> refused;
  for (const std::string& folder : folders) {
    for (const std::string& file : plugin_files(folder)) {
      if (const std::string reason = scan(file, registry, trust); !reason.empty())
        refused.push_back({file, reason});
    }
  }
  return refused;
}

}  // namespace foil
