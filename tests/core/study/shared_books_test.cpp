// SPDX-License-Identifier: BSD-3-Clause
// What processes that run one study together run next, and what they write down in the end. The processes
// are several books in this one.
#include "study/shared_books.h"

#include "folder.h"

#include <gtest/gtest.h>

using foil::Claims;
using foil::PlannedTrial;
using foil::SharedBooks;
using foil::TrialState;
using foil::TrialStore;
using foil::Turn;
using foil_test::Folder;
using State = foil::Turn::State;

namespace {

const std::vector<PlannedTrial> three = {
    {"a-seed0", "a", 0, "a0", 10}, {"a-seed1", "a", 1, "a1", 10}, {"b-seed0", "b", 0, "b0", 10}};
const std::string good = R"({"protocol": "p", "metrics": {"knn": 86.5}, "step": 10, "loss": 4.25})";

// One process at work.
struct Worker {
  explicit Worker(const Folder& study, const std::set<std::string>& complete = {})
      : folder(study),
        claims(study.path()),
        books(three, study.path(), complete, claims, std::chrono::milliseconds(0)) {}

  // "a-seed0 anew"; empty when there is nothing to do now.
  std::string next() {
    static constexpr const char* kNames[] = {" anew", " continued", " complete", " failed"};
    const auto turn = books.next();
    if (!turn) return "";
    EXPECT_EQ(turn->folder, folder.at(three[turn->trial].name));
    return three[turn->trial].name + kNames[static_cast<size_t>(turn->state)] +
           (turn->reason.empty() ? "" : ": " + turn->reason);
  }
  void complete(size_t trial) {
    folder.write(three[trial].name + "/results.json", good);
    books.complete(three[trial], good);
  }

  const Folder& folder;
  Claims claims;
  SharedBooks books;
};

}  // namespace

TEST(SharedBooks, TrialsAreDividedAndEachLearnsWhatTheOthersDid) {
  const Folder study;
  Worker one(study), other(study);
  EXPECT_EQ(one.next(), "a-seed0 anew");
  EXPECT_EQ(other.next(), "a-seed1 anew");
  EXPECT_EQ(one.next(), "b-seed0 anew") << "a process may have several lanes";
  EXPECT_EQ(other.next(), "");
  EXPECT_TRUE(other.books.waits());
  one.complete(0);
  other.complete(1);
  EXPECT_EQ(other.next(), "a-seed0 complete");
  EXPECT_EQ(other.next(), "");
  one.complete(2);
  EXPECT_EQ(other.next(), "b-seed0 complete");
  EXPECT_EQ(one.next(), "a-seed1 complete");
  EXPECT_FALSE(one.books.waits());
  EXPECT_FALSE(other.books.waits());
}

TEST(SharedBooks, AFailureIsToldToTheOthersAndTriedAgainByWhoComesLater) {
  const Folder study;
  Worker one(study), other(study);
  EXPECT_EQ(one.next(), "a-seed0 anew");
  one.books.fail(three[0], "loss is nan");
  EXPECT_EQ(other.next(), "a-seed0 failed: loss is nan");
  EXPECT_EQ(one.next(), "a-seed1 anew") << "no process tries its own failure again";
  Worker later(study);
  EXPECT_EQ(later.next(), "a-seed0 continued");
  later.books.fail(three[0], "loss is nan again");
  Worker last(study);
  EXPECT_EQ(last.next(), "a-seed0 continued");
  last.complete(0);
}

TEST(SharedBooks, AStoppedTrialIsForAnybody) {
  const Folder study;
  Worker one(study), other(study);
  EXPECT_EQ(one.next(), "a-seed0 anew");
  one.books.stop(three[0], "exit code 75");
  EXPECT_EQ(other.next(), "a-seed0 continued");
}

TEST(SharedBooks, WhatTheStoreHasOrAnotherExperimentLeftIsKnown) {
  const Folder study;
  Worker before(study);
  EXPECT_EQ(before.next(), "a-seed0 anew");
  before.complete(0);
  std::vector<PlannedTrial> changed = three;
  changed[0].config = "other";
  Claims claims(study.path());
  SharedBooks books(changed, study.path(), {"a-seed1"}, claims, std::chrono::milliseconds(0));
  EXPECT_EQ(books.next()->state, State::continued) << "what is complete is another experiment's";
  const auto second = books.next();
  EXPECT_EQ(second->trial, 1u);
  EXPECT_EQ(second->state, State::complete);
}

TEST(SharedBooks, ResultsThatAreGoneAreMadeAgain) {
  const Folder study;
  Worker one(study);
  EXPECT_EQ(one.next(), "a-seed0 anew");
  one.complete(0);
  study.write("a-seed0/results.json", "{");
  Worker other(study);
  EXPECT_EQ(other.next(), "a-seed0 continued");
}

TEST(SharedBooks, ATrialWhoseFolderIsStillHeldWaits) {
  const Folder study;
  study.write("a-seed0/lock", record_of(foil::this_process()));
  Worker one(study);
  EXPECT_EQ(one.next(), "a-seed1 anew");
  std::filesystem::remove(study.at("a-seed0/lock"));
  EXPECT_EQ(one.next(), "a-seed0 anew");
}

TEST(SharedBooks, TheStoreIsTheSameWhoeverWritesIt) {
  const Folder study;
  Worker one(study), other(study);
  EXPECT_EQ(one.next(), "a-seed0 anew");
  EXPECT_EQ(other.next(), "a-seed1 anew");
  one.complete(0);
  other.books.fail(three[1], "loss is nan");
  for (const Worker* worker : {&one, &other, &one}) {
    std::string writer;
    const auto store = TrialStore::if_free(study.path(), writer);
    ASSERT_TRUE(store);
    EXPECT_FALSE(TrialStore::if_free(study.path(), writer));
    EXPECT_EQ(writer.find("PID "), 0u) << writer;
    store->plan(three);
    worker->books.record(*store);
    const auto trials = store->trials();
    EXPECT_EQ(trials[0].state, TrialState::complete);
    EXPECT_EQ(trials[0].results, good);
    EXPECT_NE(trials[0].finished, "");
    EXPECT_EQ(trials[1].state, TrialState::failed);
    EXPECT_EQ(trials[1].reason, "loss is nan");
    EXPECT_EQ(trials[2].state, TrialState::waiting);
  }
}

TEST(SharedBooks, WhatOneProcessPrunedTheOthersLeave) {
  Folder folder;
  const auto worker = [&](Claims& claims, bool prune) {
    return SharedBooks(three, folder.path(), {}, claims, std::chrono::milliseconds(0), prune);
  };
  Claims claims(folder.path()), others(folder.path());
  SharedBooks first = worker(claims, true);
  ASSERT_EQ(first.next()->trial, 0u);
  first.prune(three[0], "behind");
  SharedBooks second = worker(others, true);
  const auto turn = second.next();
  EXPECT_EQ(turn->state, State::pruned);
  EXPECT_EQ(turn->reason, "behind");
  TrialStore store(folder.path());
  store.plan(three);
  second.record(store);
  EXPECT_EQ(store.trials()[0].state, TrialState::pruned);
  SharedBooks third = worker(others, false);
  EXPECT_EQ(third.next()->state, State::continued) << "no longer asked for";
}
