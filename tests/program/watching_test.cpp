// SPDX-License-Identifier: BSD-3-Clause
// What a run looks at while it trains: kNN every so many epochs, and the alarm for collapse. Watching changes
// nothing but the rows.
#include "tests/support/watched_run.h"

namespace foil {
namespace {

using Sets = std::vector<std::string>;

// Alignment alone, at this learning rate, brings all embeddings to one point in a few steps.
std::string collapsing_experiment() {
  std::string text = small_experiment("", "align_uniform");
  const std::string temperature = "temperature = 0.2\n";
  text.replace(text.find(temperature), temperature.size(), "uniformity_weight = 0\n");
  return text + "[collapse]\nevery = 4\n";
}
const Sets kFast = {"optimizer.learning_rate=0.3"};

struct Ended {
  std::unique_ptr<Workplace> place = std::make_unique<Workplace>();
  Outcome outcome;
  RunView run{*place};
  nlohmann::json row(int64_t step) const {
    for (const nlohmann::json& row : read_metrics((run.folder / "metrics.jsonl").string())) {
      if (row["step"] == step) return row;
    }
    return {};
  }
};

Outcome trained(const Workplace& place, const Sets& sets, const char* ranks = "1") {
  std::vector<std::string> command = {"train", "small.toml", "--quiet", "--nproc", ranks};
  for (const std::string& set : sets) command.insert(command.end(), {"--set", set});
  return foil_within(place, command);
}

Ended train(const std::string& text, const Sets& sets, const char* ranks = "1") {
  Ended ended;
  ended.place->write("small.toml", text);
  ended.outcome = trained(*ended.place, sets, ranks);
  return ended;
}

Sets operator+(Sets a, const Sets& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// ---- kNN while training: an epoch has 4 steps

// Two losses with state, batch norm by view, a momentum tower and a predictor.
std::string watched_experiment() {
  return small_experiment("", "nnclr") +
         "[[loss]]\nname = \"byol\"\n[[loss]]\nname = \"sogclr\"\n[model]\nbatch_norm = \"per_view\"\n"
         "[predictor]\nhidden = [12]\n";
}
const Sets kOnline = {"evaluate.every_epochs=2", "evaluate.online_samples=60", "collapse.every=3"};

TEST(OnlineEvaluation, AndTheAlarmChangeNoBitOfTheTraining) {
  const Ended plain = train(watched_experiment(), {}), watched = train(watched_experiment(), kOnline);
  ASSERT_EQ(plain.outcome.code, 0) << plain.outcome.err;
  ASSERT_EQ(watched.outcome.code, 0) << watched.outcome.err;
  EXPECT_EQ(watched.run.losses(), plain.run.losses());
  const auto got = load_tensors(watched.run.newest_tensors().string()).tensors,
             wanted = load_tensors(plain.run.newest_tensors().string()).tensors;
  ASSERT_EQ(got.size(), wanted.size());
  for (const auto& [name, tensor] : wanted) EXPECT_TRUE(torch::equal(got.at(name), tensor)) << name;
  EXPECT_EQ(watched.run.results()["metrics"], plain.run.results()["metrics"]);
}

TEST(OnlineEvaluation, WritesRowsWithTheirProtocolsEverySoManyEpochsWhateverIsLogged) {
  const Ended run = train(small_experiment(), kOnline + Sets{"log.every=20"});
  ASSERT_EQ(run.outcome.code, 0) << run.outcome.err;
  for (const int64_t step : {8, 16}) {
    const nlohmann::json row = run.row(step);
    ASSERT_TRUE(row.contains("knn")) << row;
    EXPECT_GT(row["knn"], 60) << "three classes of different colours";
    EXPECT_LE(row["knn"], 100);
    EXPECT_EQ(row["knn.protocol"],
              "knn-cosine-k5-T0.07-weighted/features/train60/test60/centre12x12/drawn/v1");
    EXPECT_TRUE(row.contains("projections.knn"));
  }
  EXPECT_TRUE(run.row(11).is_null());
  EXPECT_FALSE(run.row(20).contains("knn"));
}

TEST(OnlineEvaluation, AndTheAlarmSeeTheSameOnTwoAndThreeRanks) {
  const Ended one = train(small_experiment(), kOnline + Sets{"run.precision=fp64"});
  ASSERT_EQ(one.outcome.code, 0) << one.outcome.err;
  for (const char* ranks : {"2", "3"}) {
    const Ended many = train(small_experiment(), kOnline + Sets{"run.precision=fp64"}, ranks);
    ASSERT_EQ(many.outcome.code, 0) << many.outcome.err;
    for (const int64_t step : {8, 16})
      EXPECT_EQ(many.row(step)["knn"], one.row(step)["knn"]) << ranks << " ranks, step " << step;
    for (const int64_t step : {3, 6, 9, 12, 15, 18}) {
      for (const char* key : {"batch.effective_rank", "batch.std"}) {
        EXPECT_NEAR(many.row(step)[key].get<double>(), one.row(step)[key].get<double>(), 1e-9)
            << ranks << " ranks, step " << step;
      }
    }
  }
}

// ---- What is allowed and hardly meant

TEST(Cautions, OneSampleABatchAndAQueueLongerThanTheDataAreSaidOnce) {
  const Ended alone = train(small_experiment(), {"run.steps=2", "data.batch_size=1", "data.subset=8"});
  EXPECT_EQ(alone.outcome.code, 0);
  EXPECT_EQ(alone.outcome.err,
            "small.toml:32:8: data.batch_size = 1: "
            "the loss 'infonce' has no other sample in the batch to tell one from.\n"
            "step 0: the gradient is 0 in every parameter: nothing is learned.\n");
  const Ended queue = train(small_experiment("", "moco"), {"run.steps=2", "loss.queue_length=300"});
  EXPECT_EQ(queue.outcome.code, 0);
  EXPECT_EQ(queue.outcome.err,
            "small.toml:32:8: the queue of the loss 'moco', 300 rows (queue_length = 300), "
            "is longer than the training set, 257 samples: a sample meets earlier rows of its own in it.\n");
  const Outcome again = trained(*queue.place, {"run.steps=2", "loss.queue_length=300"});
  EXPECT_EQ(again.err, "");
  EXPECT_EQ(train(small_experiment("", "moco"), {"run.steps=2", "loss.queue_length=257"}).outcome.err, "");
}

TEST(Cautions, AQueueThatDoesNotFitIntoMemoryIsRefusedWithItsSize) {
  const Ended run =
      train(small_experiment("", "moco"), {"loss.queue_length=1000000000", "head.dims=[16, 4096]"});
  EXPECT_EQ(run.outcome.code, 2);
  EXPECT_EQ(run.outcome.err.find(
                "small.toml:32:8: the loss 'moco' asks for a queue of 1000000000 rows (queue_length = "
                "1000000000) of 4096 numbers: 32768 GB to make it, allowed: half of this machine's memory, "),
            0u)
      << run.outcome.err;
}

TEST(Rows, KeepWhatTwoLossesOfOneNameReportApart) {
  std::string text = small_experiment("", "barlow");
  text.replace(text.find("temperature = 0.2\n"), 18,
               "scale = 0.1\n[[loss]]\nname = \"barlow\"\nweight = 0.5\n");
  const nlohmann::json row = train(text, {"run.steps=2", "loss.1.off_diagonal_weight=1"}).row(2);
  for (const char* key :
       {"loss.0.barlow", "loss.0.barlow.invariance", "loss.1.barlow", "loss.1.barlow.redundancy"})
    EXPECT_TRUE(row.contains(key)) << key << " in " << row;
  EXPECT_FALSE(row.contains("barlow.invariance"));
  EXPECT_NEAR(row["loss"].get<double>(),
              row["loss.0.barlow"].get<double>() + 0.5 * row["loss.1.barlow"].get<double>(), 1e-4);
}

// ---- The alarm

TEST(Collapse, WarnsOnceInOneLineAndGoesOn) {
  const Ended run = train(collapsing_experiment(), kFast);
  EXPECT_EQ(run.outcome.code, 0);
  EXPECT_EQ(
      run.outcome.err.find(
          "step 4: the projections have collapsed: over 64 samples of the batch their effective rank is "),
      0u)
      << run.outcome.err;
  EXPECT_NE(run.outcome.err.find(" of 8 (alarm below 1.5) and their standard deviation "), std::string::npos)
      << run.outcome.err;
  EXPECT_NE(run.outcome.err.find(" per dimension (alarm below 0.035). What usually helps: "),
            std::string::npos)
      << run.outcome.err;
  EXPECT_EQ(std::count(run.outcome.err.begin(), run.outcome.err.end(), '\n'), 1) << run.outcome.err;
  EXPECT_LT(run.row(16)["batch.std"], 0.1 / std::sqrt(8.0)) << "it stays collapsed";
  EXPECT_EQ(run.run.status()["state"], "finished");
}

TEST(Collapse, SaysNothingOfARunThatLearns) {
  const Ended run = train(small_experiment(), kFast + Sets{"collapse.every=2", "collapse.action=\"stop\""});
  EXPECT_EQ(run.outcome.code, 0);
  EXPECT_EQ(run.outcome.err, "");
}

TEST(Collapse, WithoutItsThresholdsIsNoAlarm) {
  const Ended run =
      train(collapsing_experiment(), kFast + Sets{"collapse.effective_rank=0", "collapse.std=0"});
  EXPECT_EQ(run.outcome.err, "");
  EXPECT_EQ(run.outcome.code, 0);
}

TEST(Collapse, StopsWithCode4AndACheckpointAndAgainAtTheSameStep) {
  for (const char* ranks : {"1", "2"}) {
    const Ended run = train(collapsing_experiment(), kFast + Sets{"collapse.action=\"stop\""}, ranks);
    EXPECT_EQ(run.outcome.code, 4);
    const std::string who = ranks == std::string("1") ? "" : "rank 0: ";
    EXPECT_EQ(run.outcome.err.find(who + "step 4: the projections have collapsed: "), 0u) << run.outcome.err;
    EXPECT_TRUE(run.outcome.err.ends_with(" Stopped; the checkpoint of this step is kept.\n"))
        << run.outcome.err;
    EXPECT_EQ(std::count(run.outcome.err.begin(), run.outcome.err.end(), '\n'), 1) << run.outcome.err;
    EXPECT_EQ(run.run.status()["state"], "failed");
    EXPECT_EQ(run.run.status()["reason"].get<std::string>() + "\n", run.outcome.err);
    ASSERT_EQ(run.run.checkpoints().size(), 1u);
    EXPECT_EQ(run.run.checkpoints().back().filename(), "step-00000004.json");
    EXPECT_EQ(run.run.rows(), 4);
    const Outcome again = trained(*run.place, kFast + Sets{"collapse.action=\"stop\""}, ranks);
    EXPECT_EQ(again.code, 4);
    EXPECT_EQ(again.err, run.outcome.err);
    EXPECT_EQ(run.run.rows(), 4);
    const Outcome measured = foil_within(*run.place, {"evaluate", "runs/small/seed0", "--quiet"});
    EXPECT_EQ(measured.code, 0) << measured.err;
  }
}

TEST(Collapse, ARunThatWasStoppedAndGoesOnEndsWithTheBitsOfOneThatWasNot) {
  const Ended whole = train(collapsing_experiment(), kFast);
  const Ended stopped = train(collapsing_experiment(), kFast + Sets{"collapse.action=\"stop\""});
  ASSERT_EQ(whole.outcome.code, 0) << whole.outcome.err;
  ASSERT_EQ(stopped.outcome.code, 4);
  const Outcome again = trained(*stopped.place, kFast);  // the alarm only warns now
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(stopped.run.metrics(), whole.run.metrics());
  EXPECT_TRUE(slurp(stopped.run.newest_tensors()) == slurp(whole.run.newest_tensors()))
      << "statistics, weights or draws differ";
  EXPECT_EQ(stopped.run.results(), whole.run.results());
}

TEST(Collapse, TheFindingOfAnotherAlarmStopsNothing) {
  const Sets stop = kFast + Sets{"collapse.action=\"stop\""};
  const Ended run = train(collapsing_experiment(), stop);
  ASSERT_EQ(run.outcome.code, 4);
  const Outcome again = trained(*run.place, stop + Sets{"collapse.effective_rank=0", "collapse.std=0"});
  EXPECT_EQ(again.code, 0) << again.err;
}

}  // namespace
}  // namespace foil
