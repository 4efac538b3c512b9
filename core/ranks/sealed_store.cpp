// SPDX-License-Identifier: BSD-3-Clause
// Behind each value stands a seal made of its key and itself: the value counts at no other key. Equal values
// at one key have equal seals, because compareSet is left to the store below, which compares bytes.
#include "ranks/sealed_store.h"

#include <foil/error.h>

#include <c10/util/hash.h>
#include <fmt/format.h>
#include <sys/random.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <random>

namespace foil {
namespace {

constexpr size_t kBlock = 64;   // bytes, of SHA-1
constexpr size_t kDigits = 40;  // of a seal

std::string digest(const std::string& text) {
  c10::sha1 hash(text);
  const std::string digits = hash.str();
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

using Bytes = std::vector<uint8_t>;

class SealedStore final : public c10d::Store {
 public:
  SealedStore(const c10::intrusive_ptr<c10d::Store>& store, std::string secret)
      : store_(store), secret_(std::move(secret)) {}

  c10::intrusive_ptr<c10d::Store> clone() override {
    return c10::make_intrusive<SealedStore>(store_->clone(), secret_);
  }
  void set(const std::string& key, const Bytes& value) override {
    store_->set(hidden(key), sealed(key, value));
  }
  Bytes compareSet(const std::string& key, const Bytes& expected, const Bytes& desired) override {
    const Bytes now = store_->compareSet(hidden(key), expected.empty() ? expected : sealed(key, expected),
                                         sealed(key, desired));
    return now.empty() ? now : opened(key, now).value_or(Bytes());
  }
  Bytes get(const std::string& key) override {
    wait({key});
    const std::optional<Bytes> value = opened(key, store_->get(hidden(key)));
    if (!value)
      C10_THROW_ERROR(DistStoreError,
                      "the store of the ranks holds a value that no rank of this run wrote: " + key);
    return *value;
  }
  // Stores the sum with random digits behind it. When two ranks add at once, their texts differ: the one
  // whose text is not there tries again.
  int64_t add(const std::string& key, int64_t value) override {
    std::random_device random;
    for (;;) {
      const bool there = store_->check({hidden(key)});
      const Bytes before = there ? get(key) : Bytes();
      const int64_t sum = (there ? std::stoll(std::string(before.begin(), before.end())) : 0) + value;
      const std::string text =
          std::to_string(sum) + " " + std::to_string(random()) + std::to_string(random());
      const Bytes after(text.begin(), text.end());
      if (compareSet(key, before, after) == after) return sum;
    }
  }
  bool deleteKey(const std::string& key) override { return store_->deleteKey(hidden(key)); }
  bool check(const std::vector<std::string>& keys) override {
    if (!store_->check(hidden(keys))) return false;
    for (const std::string& key : keys) {
      if (!opened(key, store_->get(hidden(key)))) return false;
    }
    return true;
  }
  int64_t getNumKeys() override { return store_->getNumKeys(); }
  void wait(const std::vector<std::string>& keys) override { wait(keys, getTimeout()); }
  void wait(const std::vector<std::string>& keys, const std::chrono::milliseconds& timeout) override {
    store_->wait(hidden(keys), timeout);
  }
  const std::chrono::milliseconds& getTimeout() const noexcept override { return store_->getTimeout(); }
  void setTimeout(const std::chrono::milliseconds& timeout) override { store_->setTimeout(timeout); }

 private:
  std::string hidden(const std::string& key) const { return "foil/" + seal(secret_, "key " + key); }
  std::vector<std::string> hidden(const std::vector<std::string>& keys) const {
    std::vector<std::string> all;
    for (const std::string& key : keys) all.push_back(hidden(key));
    return all;
  }
  std::string seal_of(const std::string& key, const Bytes& value) const {
    return seal(secret_,
                "value " + std::to_string(key.size()) + " " + key + std::string(value.begin(), value.end()));
  }
  Bytes sealed(const std::string& key, Bytes value) const {
    const std::string digits = seal_of(key, value);
    value.insert(value.end(), digits.begin(), digits.end());
    return value;
  }
  std::optional<Bytes> opened(const std::string& key, Bytes value) const {
    if (value.size() < kDigits) return std::nullopt;
    const std::string digits(value.end() - kDigits, value.end());
    value.resize(value.size() - kDigits);
    return digits == seal_of(key, value) ? std::optional(value) : std::nullopt;
  }

  c10::intrusive_ptr<c10d::Store> store_;
  const std::string secret_;
};

}  // namespace

std::string seal(const std::string& secret, const std::string& text) {
  std::string key = secret.size() > kBlock ? digest(secret) : secret;
  key.resize(kBlock, '\0');
  std::string inner = key, outer = key;
  for (char& c : inner) c ^= 0x36;
  for (char& c : outer) c ^= 0x5c;
  return c10::sha1(outer + digest(inner + text)).str();
}

std::string random_secret() {
  unsigned char bytes[16];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
    fail(Exit::failure, "no random numbers: ", std::strerror(errno), ".");
  std::string digits;
  for (const unsigned char byte : bytes) digits += fmt::format("{:02x}", byte);
  return digits;
}

c10::intrusive_ptr<c10d::Store> sealed_store(const c10::intrusive_ptr<c10d::Store>& store,
                                             const std::string& secret) {
  return c10::make_intrusive<SealedStore>(store, secret);
}

}  // namespace foil
