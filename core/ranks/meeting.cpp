// SPDX-License-Identifier: BSD-3-Clause
// Of the stores that LibTorch has only the one over TCP serves several machines. Left to itself it listens on
// every interface, whatever its host: it is given a socket that is bound already.
#include "ranks/meeting.h"

#include "api/plain_words.h"
#include "ranks/failure.h"
#include "ranks/parent_store.h"
#include "ranks/sealed_store.h"

#include <foil/error.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

namespace foil {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kSilence{10};  // before a wait is spoken of, and between two words about it

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

// Null where the name cannot be resolved. Without a name: all interfaces.
Addresses addresses_of(const std::string& host, int port) {
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = host.empty() ? AI_PASSIVE : 0;
  ::getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &wanted, &found);
  return {found, [](addrinfo* list) {
            if (list) ::freeaddrinfo(list);
          }};
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

// As it is written: a machine may know its own name by a loopback address, which others do not.
bool names_loopback(const std::string& host) {
  in_addr four{};
  in6_addr six{};
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
  return host == "localhost" ||
         (::inet_pton(AF_INET6, host.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six));
}

// What every rank knows and a stranger does not, where somebody has set it.
std::string given_secret() {
  const char* secret = std::getenv("FOIL_SECRET");
  return secret ? secret : "";
}

// Of `--nproc`, whose parent keeps the store.
c10::intrusive_ptr<c10d::Store> store_of_parent() {
  const char* descriptor = std::getenv("FOIL_STORE");
  return inherited_store(descriptor ? std::atoi(descriptor) : -1);
}

bool is_nproc(const Launch& launch) { return launch.source == "--nproc"; }

// A socket that listens at the address of this name and nowhere else. Where this machine knows the name by a
// loopback address only, though others are to come, the name tells no interface: then on all of them.
int listen_at(const std::string& host, int port) {
  const Addresses named = addresses_of(host, port);
  if (!named) fail(Exit::failure, "no such host");
  const bool is_local = names_loopback(host);
  bool any = false;
  for (const addrinfo* one = named.get(); one; one = one->ai_next)
    any = any || is_local || !is_loopback(one->ai_addr);
  const Addresses all = any ? addresses_of(host, port) : addresses_of("", port);
  int error = EADDRNOTAVAIL;
  for (const addrinfo* one = all.get(); one; one = one->ai_next) {
    if (any && !is_local && is_loopback(one->ai_addr)) continue;
    const int descriptor = ::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (descriptor >= 0 && ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        ::bind(descriptor, one->ai_addr, one->ai_addrlen) == 0 && ::listen(descriptor, SOMAXCONN) == 0)
      return descriptor;
    error = errno;
    if (descriptor >= 0) ::close(descriptor);
  }
  fail(Exit::failure, std::strerror(error));
}

c10::intrusive_ptr<c10d::Store> connect(const Launch& launch, const std::string& address, bool hosts,
                                        std::chrono::seconds timeout) {
  try {
    if (is_nproc(launch)) return store_of_parent();
    c10d::TCPStoreOptions options;
    options.port = static_cast<std::uint16_t>(launch.port);
    options.isServer = hosts;
    options.waitWorkers = false;
    options.timeout = timeout;
    if (hosts) options.masterListenFd = listen_at(address, launch.port);
    return c10::make_intrusive<c10d::TCPStore>(address, options);
  } catch (const std::exception& e) {
    const std::string place = is_nproc(launch) ? "" : " at " + address + ":" + std::to_string(launch.port);
    fail(Exit::failure, "rank ", launch.rank, hosts ? " cannot keep" : " cannot reach",
         " the store of the ranks", place, " (launched by ", launch.source, "): ", plain_words(e));
  }
}

// A secret that rank 0 makes up, in a file that only this user can read. Anybody may know the file's name.
class SecretFile {
 public:
  SecretFile(c10d::Store& store, const Launch& launch) {
    if (launch.rank != 0) {
      try {
        text_ = read(store.get_to_str("secret"));
      } catch (const c10::Error&) {
        fail(Exit::failure, "rank 0 of ", launch.world_size,
             " did not come to the store of the ranks (launched by ", launch.source, ").");
      }
      return;
    }
    name_ = (std::filesystem::temp_directory_path() / "foil-XXXXXX").string();
    const int descriptor = ::mkostemp(name_.data(), O_CLOEXEC);  // for this user alone
    text_ = random_secret();
    const bool written = descriptor >= 0 && ::write(descriptor, text_.data(), text_.size()) ==
                                                static_cast<ssize_t>(text_.size());
    if (!written) fail(Exit::failure, name_, ": cannot be written: ", std::strerror(errno));
    ::close(descriptor);
    store.set("secret", name_);
  }
  ~SecretFile() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  SecretFile(const SecretFile&) = delete;
  SecretFile& operator=(const SecretFile&) = delete;
  const std::string& text() const { return text_; }

 private:
  static std::string read(const std::string& name) {
    const int descriptor = ::open(name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    std::string text(random_secret().size(), '\0');
    struct stat status {};
    const bool ours = descriptor >= 0 && ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
                      status.st_uid == ::geteuid() && (status.st_mode & 077) == 0 &&
                      status.st_size == static_cast<off_t>(text.size());
    const bool read =
        ours && ::read(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (descriptor >= 0) ::close(descriptor);
    if (!read)
      fail(Exit::failure, name,
           ": is no secret that rank 0 of this user wrote; FOIL_SECRET would make the file needless.");
    return text;
  }

  std::string name_, text_;
};

// Until every rank has left its mark in the store: a rank that never comes is named, and no socket of a
// collective waits for it.
void wait_for_all(c10d::Store& store, const Launch& launch, const std::string& place,
                  std::chrono::seconds timeout) {
  store.set("came/" + std::to_string(launch.rank), "1");
  const auto begin = Clock::now();
  auto due = begin + kSilence;
  std::vector<int> absent;
  do {
    absent.clear();
    for (int r = 0; r < launch.world_size; ++r) {
      if (!store.check({"came/" + std::to_string(r)})) absent.push_back(r);
    }
    if (absent.empty()) return;
    if (launch.rank == 0 && Clock::now() >= due) {
      due += kSilence;
      std::fprintf(
          stderr, "waiting for %s of %d to come to %s, %ld s of at most %ld\n", rank_names(absent).c_str(),
          launch.world_size, place.c_str(),
          static_cast<long>(std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count()),
          static_cast<long>(timeout.count()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  } while (Clock::now() < begin + timeout);
  fail(Exit::failure, rank_names(absent), " of ", launch.world_size, " did not come to ", place, " within ",
       timeout.count(), " s (launched by ", launch.source, ").",
       given_secret().empty() || is_nproc(launch) ? "" : " FOIL_SECRET must be the same on every rank.");
}

}  // namespace

Meeting meet(const Launch& launch, std::chrono::seconds timeout) {
  Meeting meeting;
  meeting.secret = given_secret();
  meeting.hosts = launch.rank == 0 && !launch.agent_store;
  meeting.one_machine = launch.local_world_size == launch.world_size || names_loopback(launch.address);
  if (!meeting.one_machine && meeting.secret.empty()) {
    fail(Exit::usage, launch.source,
         ": ranks on several machines share a secret, so that nobody else on their network can speak as ",
         "one of them: set FOIL_SECRET to the same text for all of them, one that is new for each run and "
         "hard to guess.");
  }
  const std::string address = meeting.one_machine && !launch.agent_store ? "127.0.0.1" : launch.address;
  const auto store =
      keys_of_launch(connect(launch, address, meeting.hosts, timeout), launch.run_id, launch.restart_count);
  std::optional<SecretFile> file;  // until all have come
  if (meeting.secret.empty()) meeting.secret = file.emplace(*store, launch).text();
  meeting.store = is_nproc(launch) ? store : sealed_store(store, meeting.secret);
  const std::string place =
      is_nproc(launch) ? "the store of the ranks" : address + ":" + std::to_string(launch.port);
  wait_for_all(*meeting.store, launch, place, timeout);
  return meeting;
}

}  // namespace foil
