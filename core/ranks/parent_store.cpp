// SPDX-License-Identifier: BSD-3-Clause
// One packet per question and one per answer, each a list of texts. The parent answers at once. A rank that
// waits asks again and again, so that one that is stopped holds up nobody.
#include "ranks/parent_store.h"

#include <foil/error.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>

namespace foil {
namespace {

using Texts = std::vector<std::string>;
using Bytes = std::vector<uint8_t>;

Bytes bytes(const std::string& text) { return {text.begin(), text.end()}; }
std::string text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

std::string packed(const Texts& texts) {
  std::string packet;
  for (const std::string& one : texts) {
    const uint64_t size = one.size();
    packet.append(reinterpret_cast<const char*>(&size), sizeof size).append(one);
  }
  return packet;
}

Texts unpacked(const std::string& packet) {
  Texts texts;
  for (size_t at = 0; at < packet.size();) {
    uint64_t size = 0;
    std::memcpy(&size, packet.data() + at, sizeof size);
    texts.push_back(packet.substr(at + sizeof size, size));
    at += sizeof size + size;
  }
  return texts;
}

bool send_packet(int socket, const Texts& texts) {
  const std::string packet = packed(texts);
  ssize_t sent;
  do {
    sent = ::send(socket, packet.data(), packet.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(packet.size());
}

// Empty when the other end is gone.
Texts receive_packet(int socket) {
  ssize_t size;
  do {  // the size first, without taking the packet
    size = ::recv(socket, nullptr, 0, MSG_PEEK | MSG_TRUNC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return {};
  std::string packet(static_cast<size_t>(size), '\0');
  if (::recv(socket, packet.data(), packet.size(), 0) != size) return {};
  return unpacked(packet);
}

}  // namespace

// ---- The parent

StoreKeeper::StoreKeeper() : stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (stop_ < 0)
    fail(Exit::failure, "--nproc: cannot keep a store for the ranks: ", std::strerror(errno), ".");
}

StoreKeeper::~StoreKeeper() {
  if (thread_.joinable()) {
    ::eventfd_write(stop_, 1);
    thread_.join();
  }
  for (const int connection : connections_) ::close(connection);
  ::close(stop_);
}

int StoreKeeper::connect() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    fail(Exit::failure, "--nproc: cannot keep a store for the ranks: ", std::strerror(errno), ".");
  connections_.push_back(ends[0]);
  return ends[1];
}

void StoreKeeper::start() {
  thread_ = std::thread([this] { serve(); });
}

void StoreKeeper::serve() {
  std::vector<pollfd> watched{{stop_, POLLIN, 0}};
  for (const int connection : connections_) watched.push_back({connection, POLLIN, 0});
  while (watched[0].revents == 0) {
    if (::poll(watched.data(), watched.size(), -1) < 0) {  // and has said nothing of the sockets
      if (errno != EINTR) return;
      continue;
    }
    for (size_t i = 1; i < watched.size(); ++i) {
      if (watched[i].revents != 0 && !answer(watched[i].fd)) watched[i].fd = -1;  // that rank is gone
    }
  }
}

bool StoreKeeper::answer(int connection) try {
  const Texts asked = receive_packet(connection);
  if (asked.size() < 2) return false;
  const std::string &what = asked[0], &key = asked[1];
  Texts answer{""};
  if (what == "set") {
    store_->set(key, bytes(asked.at(2)));
  } else if (what == "compare") {
    answer[0] = text(store_->compareSet(key, bytes(asked.at(2)), bytes(asked.at(3))));
  } else if (what == "get") {
    answer = store_->check({key}) ? Texts{text(store_->get(key)), "there"} : Texts{""};
  } else if (what == "add") {
    answer[0] = std::to_string(store_->add(key, std::stoll(asked.at(2))));
  } else if (what == "delete") {
    answer[0] = store_->deleteKey(key) ? "1" : "0";
  } else if (what == "check") {
    answer[0] = store_->check({asked.begin() + 1, asked.end()}) ? "1" : "0";
  } else {
    answer[0] = std::to_string(store_->getNumKeys());
  }
  return send_packet(connection, answer);
} catch (const std::exception&) {  // no question of ours
  return false;
}

// ---- A rank

namespace {

class InheritedStore final : public c10d::Store {
 public:
  // A socket on which one thread at a time asks.
  struct Connection {
    int descriptor;
    std::mutex mutex;
  };
  explicit InheritedStore(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

  c10::intrusive_ptr<c10d::Store> clone() override {
    auto copy = c10::make_intrusive<InheritedStore>(connection_);
    copy->setTimeout(timeout_);
    return copy;
  }
  void set(const std::string& key, const Bytes& value) override { ask({"set", key, text(value)}); }
  Bytes compareSet(const std::string& key, const Bytes& expected, const Bytes& desired) override {
    return bytes(ask({"compare", key, text(expected), text(desired)})[0]);
  }
  Bytes get(const std::string& key) override {
    wait({key});
    return bytes(ask({"get", key})[0]);
  }
  int64_t add(const std::string& key, int64_t value) override {
    return std::stoll(ask({"add", key, std::to_string(value)})[0]);
  }
  bool deleteKey(const std::string& key) override { return ask({"delete", key})[0] == "1"; }
  bool check(const std::vector<std::string>& keys) override {
    Texts question{"check"};
    question.insert(question.end(), keys.begin(), keys.end());
    return keys.empty() || ask(question)[0] == "1";
  }
  int64_t getNumKeys() override { return std::stoll(ask({"count", ""})[0]); }
  void wait(const std::vector<std::string>& keys) override { wait(keys, timeout_); }
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) override {
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!check(keys)) {
      if (timeout != kNoTimeout && std::chrono::steady_clock::now() > end)
        C10_THROW_ERROR(DistStoreError,
                        "timed out after " + std::to_string(timeout.count()) + " ms, waiting for " + keys[0]);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  Texts ask(const Texts& question) {
    const std::lock_guard lock(connection_->mutex);
    Texts answer;
    if (send_packet(connection_->descriptor, question)) answer = receive_packet(connection_->descriptor);
    if (answer.empty()) C10_THROW_ERROR(DistNetworkError, "the process that started the ranks is gone");
    return answer;
  }

  std::shared_ptr<Connection> connection_;
};

}  // namespace

c10::intrusive_ptr<c10d::Store> inherited_store(int descriptor) {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
    C10_THROW_ERROR(DistNetworkError, "there is no connection to the process that started the ranks");
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  auto connection = std::make_shared<InheritedStore::Connection>();
  connection->descriptor = descriptor;
  return c10::make_intrusive<InheritedStore>(connection);
}

}  // namespace foil
