// SPDX-License-Identifier: BSD-3-Clause
// The stores of the ranks: the one that a parent keeps for its children, and the seal of the ones that
// strangers may reach.
#include "ranks/parent_store.h"
#include "ranks/sealed_store.h"

#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <unistd.h>

#include <thread>

namespace {

using namespace std::chrono_literals;

c10::intrusive_ptr<c10d::Store> memory() { return c10::make_intrusive<c10d::HashStore>(); }

// What every store of the ranks is asked to do.
void expect_a_store(c10d::Store& store, c10d::Store& other) {
  EXPECT_FALSE(store.check({"a"}));
  store.set("a", std::string("one"));
  store.set("empty", std::string());
  EXPECT_EQ(other.get_to_str("a"), "one");
  EXPECT_EQ(other.get_to_str("empty"), "");
  EXPECT_TRUE(other.check({"a", "empty"}));
  EXPECT_FALSE(other.check({"a", "b"}));
  EXPECT_EQ(store.compareSet("b", std::string(), std::string("first")), "first");
  EXPECT_EQ(other.compareSet("b", std::string(), std::string("second")), "first");
  EXPECT_EQ(other.compareSet("b", std::string("first"), std::string("second")), "second");
  EXPECT_EQ(store.get_to_str("b"), "second");
  EXPECT_EQ(store.add("sum", 2), 2);
  EXPECT_EQ(other.add("sum", -5), -3);
  EXPECT_EQ(store.getNumKeys(), 4);
  EXPECT_TRUE(other.deleteKey("a"));
  EXPECT_FALSE(store.check({"a"}));
  EXPECT_THROW(store.wait({"a"}, 30ms), c10::DistStoreError);
  std::thread late([&] {
    std::this_thread::sleep_for(50ms);
    other.set("late", std::string(100'000, 'x'));
  });
  EXPECT_EQ(store.get_to_str("late").size(), 100'000u);
  late.join();
  std::vector<std::thread> adding;
  for (int t = 0; t < 4; ++t) {
    adding.emplace_back([own = (t % 2 ? store : other).clone()] {
      for (int i = 0; i < 50; ++i) own->add("many", 1);
    });
  }
  for (std::thread& thread : adding) thread.join();
  EXPECT_EQ(store.add("many", 0), 200);
}

TEST(ParentStore, IsOneStoreForAllWhoInheritAConnection) {
  foil::StoreKeeper keeper;
  const auto first = foil::inherited_store(keeper.connect()),
             second = foil::inherited_store(keeper.connect());
  keeper.start();
  expect_a_store(*first, *second);
  EXPECT_TRUE(keeper.store()->check({"late"}));
}

TEST(ParentStore, GoesOnWhenAConnectionEnds) {
  foil::StoreKeeper keeper;
  const int gone = keeper.connect();
  const auto other = foil::inherited_store(keeper.connect());
  keeper.start();
  ::close(gone);
  other->set("a", std::string("1"));
  EXPECT_TRUE(other->check({"a"}));
}

TEST(ParentStore, SaysThatTheParentIsGone) {
  auto keeper = std::make_unique<foil::StoreKeeper>();
  const auto store = foil::inherited_store(keeper->connect());
  keeper.reset();
  EXPECT_THROW(store->check({"a"}), c10::DistNetworkError);
  EXPECT_THROW(foil::inherited_store(0), c10::DistNetworkError) << "no such connection";
}

TEST(SealedStore, IsAStoreForAllWhoKnowTheSecret) {
  const auto shared = memory();
  expect_a_store(*foil::sealed_store(shared, "secret"), *foil::sealed_store(shared, "secret"));
}

TEST(SealedStore, ShowsNothingToAnotherSecretAndNoNamesToAnybody) {
  const auto shared = memory();
  foil::sealed_store(shared, "secret")->set("failed", std::string("1 a reason"));
  EXPECT_FALSE(foil::sealed_store(shared, "another")->check({"failed"}));
  EXPECT_FALSE(foil::sealed_store(shared, "")->check({"failed"}));
  for (const std::string& key : shared->listKeys()) EXPECT_EQ(key.find("failed"), std::string::npos);
}

TEST(SealedStore, TakesNothingThatWasForgedOrMovedForThere) {
  const auto shared = memory();
  const auto store = foil::sealed_store(shared, "secret");
  store->set("a", std::string("one"));
  const std::string key = shared->listKeys().at(0), value = shared->get_to_str(key);
  shared->set(key, std::string("1 words of a stranger"));
  EXPECT_FALSE(store->check({"a"}));
  EXPECT_THROW(store->get("a"), c10::DistStoreError);
  shared->set(key, std::string("0ne") + value.substr(3));
  EXPECT_FALSE(store->check({"a"}));
  shared->set(key, value);
  EXPECT_TRUE(store->check({"a"}));
  store->set("b", std::string("two"));
  for (const std::string& other : shared->listKeys()) shared->set(other, value);
  EXPECT_TRUE(store->check({"a"}));
  EXPECT_FALSE(store->check({"b"})) << "a value of another key";
}

TEST(Seal, IsHmacSha1) {  // RFC 2202, cases 1, 2 and 6
  EXPECT_EQ(foil::seal(std::string(20, '\x0b'), "Hi There"), "b617318655057264e28bc0b6fb378c8ef146be00");
  EXPECT_EQ(foil::seal("Jefe", "what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(foil::seal(std::string(80, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112");
}

}  // namespace
