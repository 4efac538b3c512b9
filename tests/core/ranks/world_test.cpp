// SPDX-License-Identifier: BSD-3-Clause
// Collectives of 1, 2 and 3 ranks as threads, against the same computation on the concatenated batch.
#include "ranks/in_process.h"
#include "ranks/process_groups.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <torch/csrc/distributed/c10d/FlightRecorder.hpp>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <torch/types.h>

#include <atomic>
#include <numeric>

namespace {

using at::Tensor;
using foil::in_process_ranks;
using foil::World;
using foil::test::error_of;

Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return torch::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), torch::kDouble);
}

// The rows of rank r when the batch is cut into these sizes.
Tensor shard(const Tensor& all, const std::vector<int64_t>& sizes, int64_t r) {
  return all.narrow(0, std::accumulate(sizes.begin(), sizes.begin() + r, int64_t{0}),
                    sizes[static_cast<size_t>(r)]);
}

const std::vector<std::vector<int64_t>> kShards = {{7},       {4, 3},    {0, 7},   {3, 2, 2},
                                                   {0, 5, 2}, {7, 0, 0}, {1, 0, 6}};

}  // namespace

TEST(World, GathersUnevenAndEmptyShardsInRankOrder) {
  const Tensor all = random({7, 2, 3}, 1);
  for (const auto& sizes : kShards) {
    in_process_ranks(static_cast<int>(sizes.size()), [&](World& world) {
      EXPECT_TRUE(torch::equal(world.gather(shard(all, sizes, world.rank())), all)) << sizes;
      EXPECT_EQ(world.counts(sizes[static_cast<size_t>(world.rank())]), sizes);
    });
  }
}

TEST(World, GathersEveryType) {
  const std::vector<int64_t> sizes = {3, 0, 4};
  for (auto type : {torch::kBool, torch::kByte, torch::kShort, torch::kInt, torch::kLong, torch::kHalf,
                    torch::kBFloat16, torch::kFloat}) {
    const Tensor all = (random({7, 5}, 2) * 3).to(type);
    in_process_ranks(3, [&](World& world) {
      const Tensor got = world.gather(shard(all, sizes, world.rank()));
      EXPECT_EQ(got.scalar_type(), type);
      EXPECT_TRUE(torch::equal(got, all)) << type;
    });
  }
}

TEST(World, GathersViewsVectorsAndNothing) {
  const Tensor all = random({7, 6}, 3), columns = all.t().contiguous().t();
  const std::vector<int64_t> sizes = {2, 4, 1};
  in_process_ranks(3, [&](World& world) {
    EXPECT_TRUE(torch::equal(world.gather(shard(columns, sizes, world.rank())), all)) << "not contiguous";
    EXPECT_TRUE(torch::equal(world.gather(shard(all.select(1, 4), sizes, world.rank())), all.select(1, 4)))
        << "one-dimensional";
    EXPECT_EQ(world.gather(torch::empty({0, 4})).sizes(), (std::vector<int64_t>{0, 4})) << "all shards empty";
    EXPECT_EQ(world.gather(torch::empty({2, 0})).sizes(), (std::vector<int64_t>{6, 0})) << "rows of no bytes";
  });
}

// The objective is a sum over ranks whose terms each use the whole batch, weighted by rank: a gradient that
// is not sum-reduced, or not of the own rows, differs.
TEST(World, GatherHasTheGradientOfOneRank) {
  const Tensor all = random({7, 3}, 4), weights = random({3, 7, 3}, 5);
  for (const auto& sizes : kShards) {
    const auto world_size = static_cast<int64_t>(sizes.size());
    const Tensor whole = all.clone().requires_grad_();
    Tensor objective = torch::zeros({}, torch::kDouble);
    for (int64_t r = 0; r < world_size; ++r) objective = objective + (weights[r] * whole.pow(3)).sum();
    objective.backward();
    in_process_ranks(static_cast<int>(world_size), [&](World& world) {
      const Tensor own = shard(all, sizes, world.rank()).clone().requires_grad_();
      (weights[world.rank()] * world.gather(own).pow(3)).sum().backward();
      EXPECT_TRUE(torch::allclose(own.grad(), shard(whole.grad(), sizes, world.rank()), 1e-13, 1e-13))
          << sizes;
    });
  }
}

TEST(World, SumHasTheGradientOfOneRank) {
  const Tensor parts = random({3, 4}, 6), weights = random({3, 4}, 7);
  for (int world_size : {1, 2, 3}) {
    const Tensor whole = parts.slice(0, 0, world_size).clone().requires_grad_();
    const Tensor total = whole.sum(0);
    (weights.slice(0, 0, world_size) * total.square()).sum().backward();
    in_process_ranks(world_size, [&](World& world) {
      const Tensor own = parts[world.rank()].clone().requires_grad_();
      const Tensor sum = world.sum(own);
      EXPECT_TRUE(torch::allclose(sum, total, 1e-14, 1e-14));
      (weights[world.rank()] * sum.square()).sum().backward();
      EXPECT_TRUE(torch::allclose(own.grad(), whole.grad()[world.rank()], 1e-13, 1e-13));
    });
  }
}

TEST(World, SumsScalarsIntegersBoolsAndNarrowFloats) {
  in_process_ranks(3, [](World& world) {
    EXPECT_EQ(world.sum(torch::tensor(world.rank() + 1, torch::kLong)).item<int64_t>(), 6);
    EXPECT_EQ(world.sum(torch::tensor({true, world.rank() == 1})).equal(torch::tensor({3, 1}, torch::kLong)),
              true);
    // In bf16 256 + 1 + 1 is 256 in either order; in fp32, rounded once at the end, it is 258.
    const Tensor narrow = torch::tensor({world.rank() == 0 ? 256.0 : 1.0}, torch::kBFloat16);
    EXPECT_EQ(world.sum(narrow).scalar_type(), torch::kBFloat16);
    EXPECT_EQ(world.sum(narrow).item<double>(), 258.0);
    EXPECT_EQ(narrow.item<double>(), world.rank() == 0 ? 256.0 : 1.0) << "the input stays";
  });
}

TEST(World, BroadcastsIntoTheOthers) {
  in_process_ranks(3, [](World& world) {
    const Tensor base = random({4, 5}, 8 + static_cast<uint64_t>(world.rank())),
                 expected = random({4, 5}, 10);
    std::vector<Tensor> tensors = {base.clone(), base.clone().t(),  base.to(torch::kBFloat16),
                                   base > 0,     torch::empty({0}), base.sum()};
    world.broadcast(tensors, 2);
    EXPECT_TRUE(torch::equal(tensors[0], expected));
    EXPECT_TRUE(torch::equal(tensors[1], expected.t())) << "not contiguous";
    EXPECT_TRUE(torch::equal(tensors[2], expected.to(torch::kBFloat16)));
    EXPECT_TRUE(torch::equal(tensors[3], expected > 0));
    EXPECT_TRUE(torch::equal(tensors[5], expected.sum()));
    EXPECT_EQ(world.broadcast_text(world.rank() == 1 ? "fünf\n" : "", 1), "fünf\n");
    EXPECT_EQ(world.broadcast_text(world.rank() == 0 ? "" : "not this"), "");
    EXPECT_EQ(world.broadcast_int(world.rank() * 10 - 1), -1);
  });
}

TEST(World, BroadcastsParametersThatRequireGradient) {
  in_process_ranks(2, [](World& world) {
    std::vector<Tensor> parameters = {torch::full({3}, static_cast<double>(world.rank())).requires_grad_()};
    world.broadcast(parameters, 1);
    EXPECT_EQ(parameters[0].sum().item<double>(), 3.0);
    EXPECT_TRUE(parameters[0].requires_grad());
  });
}

TEST(World, OfOneRankIsTheIdentity) {
  const auto world = World::single();
  const Tensor x = random({3, 2}, 11).requires_grad_();
  EXPECT_TRUE(world->gather(x).is_same(x));
  EXPECT_TRUE(world->sum(x).is_same(x));
  EXPECT_EQ(world->counts(5), std::vector<int64_t>{5});
  EXPECT_EQ(world->broadcast_text("a"), "a");
  EXPECT_EQ(world->first_error("bad"), "bad");
  world->barrier();
  world->close();
  EXPECT_EQ(std::string(world->explain(foil::Error("bad", foil::Exit::data)).what()), "bad");
  EXPECT_TRUE(world->speaks());
}

TEST(World, AgreesOnTheErrorOfTheLowestRank) {
  in_process_ranks(3, [](World& world) {
    EXPECT_EQ(world.first_error(""), "");
    EXPECT_EQ(world.first_error(world.rank() == 2 ? "loss is nan" : ""), "rank 2: loss is nan");
    EXPECT_EQ(world.first_error(world.rank() > 0 ? "no " + std::to_string(world.rank()) : ""),
              "rank 1: no 1");
  });
}

TEST(World, AnAgreedErrorIsReportedAsItIs) {
  const auto run = [] {
    in_process_ranks(3, [](World& world) {
      const std::string error = world.first_error(world.rank() == 2 ? "loss is nan" : "");
      throw foil::Error("step 7: " + error, foil::Exit::non_finite);
    });
  };
  EXPECT_EQ(error_of(run), "4 step 7: rank 2: loss is nan");
}

TEST(World, RefusesRowsThatDiffer) {
  in_process_ranks(2, [](World& world) {
    EXPECT_EQ(error_of([&] {
                world.gather(torch::zeros({2, 3 + world.rank()}));
              }),
              "1 gather: a row has 12 bytes on rank 0 and 16 on rank 1; rows must agree in shape and type.");
  });
}

TEST(World, RefusesToGatherAScalar) {
  const auto world = World::single();
  EXPECT_EQ(error_of([&] { world->gather(torch::zeros({})); }),
            "1 gather: a scalar has no rows; unsqueeze(0) makes it one.");
}

TEST(World, ReportsTheFailingRankToThoseThatWait) {
  std::atomic<int> speakers = 0;
  const auto run = [&] {
    in_process_ranks(3, [&](World& world) {
      try {
        if (world.rank() == 1) throw foil::Error("bad data", foil::Exit::data);
        world.barrier();
        FAIL() << "the barrier was passed";
      } catch (const std::exception& e) {
        const foil::Error reason = world.explain(e);
        EXPECT_EQ(std::string(reason.what()), "rank 1: bad data");
        EXPECT_EQ(reason.code(), foil::Exit::data);
        speakers += world.speaks();
        throw;
      }
    });
  };
  EXPECT_EQ(error_of(run), "5 rank 1: bad data");
  EXPECT_EQ(speakers, 1);
}

TEST(World, NamesTheLateRank) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  std::mutex mutex;
  std::condition_variable told;
  int waiting = 2;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      const auto world = World::make(store, rank, 3, at::kCPU, std::chrono::seconds(15));
      if (rank == 1) {  // alive, but it comes only after the others have given up
        std::unique_lock lock(mutex);
        told.wait(lock, [&] { return waiting == 0; });
        return;
      }
      EXPECT_EQ(error_of([&] {
                  world->gather(torch::ones({2, 2}));
                }),
                "1 gathering counts: rank 1 did not come within 15 s, the other ranks wait.");
      std::lock_guard lock(mutex);
      --waiting;
      told.notify_all();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

using Groups = std::vector<c10::intrusive_ptr<c10d::ProcessGroup>>;

// The groups of two ranks, each with its view of one store.
Groups two_groups(const std::vector<c10::intrusive_ptr<c10d::Store>>& stores, int store_port) {
  Groups groups(2);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    const foil::GroupSettings settings{rank, 2, 2, at::kCPU, std::chrono::seconds(15), store_port, true, ""};
    threads.emplace_back([&groups, &stores, r = static_cast<size_t>(rank), settings] {
      groups[r] = foil::make_process_group(stores[r], "group", settings);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return groups;
}

// Both ranks are in a broadcast, here before, there after the abort reaches them. Gloo loses a send whose
// answer came before a reset of the connection: that leaves a few, where shutting the sockets for writing too
// left a third of them asleep.
TEST(World, AnAbortWakesARankWhoseSendIsAnsweredJustThen) {
  int asleep = 0;
  for (int round = 0; round < 60; ++round) {
    const c10::intrusive_ptr<c10d::Store> store = c10::make_intrusive<c10d::HashStore>();
    const Groups groups = two_groups({store, store}, 0);
    std::vector<Tensor> sent = {torch::ones({1000})}, received = {torch::zeros({1000})};
    const auto send = groups[0]->broadcast(sent);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto receive = groups[1]->broadcast(received);
    for (const auto& group : groups) group->abort();
    for (const auto& work : {send, receive}) {
      try {
        work->wait();
      } catch (const std::exception& error) {
        asleep += std::string(error.what()).find("imed out") != std::string::npos;
      }
    }
  }
  EXPECT_LE(asleep, 4);
}

// A store on which another client dials in while Gloo leaves its addresses, as a late rank's watcher does.
struct StoreThatGainsAClient final : c10d::PrefixStore {
  StoreThatGainsAClient(const c10::intrusive_ptr<c10d::Store>& store, const c10d::TCPStoreOptions& options)
      : PrefixStore("ranks", store), options(options) {}
  void set(const std::string& key, const std::vector<uint8_t>& value) override {
    if (!client) client = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
    PrefixStore::set(key, value);
  }
  c10d::TCPStoreOptions options;
  c10::intrusive_ptr<c10d::TCPStore> client;
};

TEST(World, AnAbortLeavesTheConnectionsOfTheStoreAlone) {
  c10d::TCPStoreOptions options;
  options.isServer = true;
  options.waitWorkers = false;
  options.port = 0;
  const auto server = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  options.isServer = false;
  options.port = server->getPort();
  std::vector<c10::intrusive_ptr<StoreThatGainsAClient>> stores;
  for (int rank = 0; rank < 2; ++rank)
    stores.push_back(c10::make_intrusive<StoreThatGainsAClient>(server->clone(), options));
  const auto groups = two_groups({stores[0], stores[1]}, options.port);
  for (const auto& group : groups) {
    group->abort();
    std::vector<Tensor> one = {torch::ones({1})};
    EXPECT_ANY_THROW(group->allreduce(one)->wait()) << "the connections between the ranks are not shut";
  }
  for (const auto& store : stores) {
    ASSERT_TRUE(store->client) << "Gloo left no address in the store";
    EXPECT_NO_THROW(store->client->check({"alarm"}));
  }
}

// It crashes where ranks are threads.
TEST(World, OfThreadsIsNotSeenByTheFlightRecorder) {
  in_process_ranks(2, [](World& world) { world.barrier(); });
  const auto trace =
      nlohmann::json::parse(c10d::dump_fr_trace_json(/*includeCollectives=*/true, /*onlyActive=*/false));
  EXPECT_TRUE(trace.value("entries", nlohmann::json::array()).empty()) << trace.dump(1).substr(0, 400);
}
