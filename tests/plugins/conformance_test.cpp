// SPDX-License-Identifier: BSD-3-Clause
// The tests of the conformance tests: a sound loss passes every item, each planted bug is reported by the item made for it, and a
// failure says what differs, where and by how much. FOIL_PLANTED is the path of planted.so.
#include "plugins/conformance/conformance.h"
#include "plugins/loader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace {

using foil::Component;
using foil::conformance::Item;
using foil::conformance::Report;

const Component& planted(const std::string& name) {
  static const bool loaded = [] {
    at::set_num_threads(1);
    foil::load_plugin(FOIL_PLANTED, foil::Registry::instance());
    return true;
  }();
  EXPECT_TRUE(loaded);
  return foil::Registry::instance().find("loss", name, "test");
}

std::string items_that_fail(const Report& report) {
  std::string names;
  for (const Item& item : report.items) {
    if (item.failed()) names += (names.empty() ? "" : ", ") + item.name();
  }
  return names;
}

TEST(Conformance, PassesASoundLossWithStateDrawsQueueAndParameters) {
  for (const char* name : {"sound", "sound_with_labels"}) {
    const Report report = foil::conformance::test(planted(name));
    EXPECT_TRUE(report.passed()) << report.text(name);
  }
}

TEST(Conformance, GivesALossFeaturesAndTheLabelsAndIndicesOfItsQueue) {
  foil::load_plugin(FOIL_WANTS, foil::Registry::instance());
  const Report report = foil::conformance::test(foil::Registry::instance().find("loss", "wants", "test"));
  EXPECT_TRUE(report.passed()) << report.text("wants");
}

TEST(Conformance, EachPlantedBugIsCaughtByItsItem) {
  const std::vector<std::pair<const char*, const char*>> table = {
      {"divided_by_world_size", "ranks"},
      {"gather_without_gradient", "ranks"},
      {"mean_of_local_anchors", "ranks"},
      {"offset_of_rank_times_batch", "ranks"},
      {"mask_of_minus_1e9", "extremes"},
      {"masked_entry_in_the_max", "extremes"},
      {"state_in_a_plain_member", "registered"},
      {"state_moves_in_evaluation", "evaluation"},
      {"state_keyed_by_batch_position", "permutation"},
      {"state_differs_between_ranks", "ranks"},
      {"draw_of_a_global_generator", "draws"},
      {"own_key_already_in_the_queue", "evaluation"},
      {"reads_labels_without_asking", "needs"},
      {"reads_labels_when_there", "needs"},
      {"unlabelled_are_of_one_class", "labels"},
  };
  fmt::print("{:<32}{:<14}{}\n", "bug", "caught by", "all items that fail");
  for (const auto& [bug, item] : table) {
    const Report report = foil::conformance::test(planted(bug));
    EXPECT_TRUE(report.item(item).failed()) << report.text(bug);
    fmt::print("{:<32}{:<14}{}\n", bug, report.item(item).failed() ? item : "NOTHING", items_that_fail(report));
  }
}

TEST(Conformance, AFailureSaysWhatDiffersWhereAndByHowMuch) {
  const std::string text = foil::conformance::test(planted("divided_by_world_size")).item("ranks").text();
  EXPECT_NE(text.find("default, 2 ranks with 4, 3 samples, step 0: the gradient of z.0 at ["), std::string::npos) << text;
  EXPECT_NE(text.find(", everywhere 0.5 of it: off by "), std::string::npos) << text;
  EXPECT_NE(text.find(", allowed "), std::string::npos) << text;
}

TEST(Conformance, ANanIsNeverClose) {
  Item item("item");
  item.expect_close("here", "x", torch::full({2}, std::nan("")), torch::ones({2}), 1e9);
  EXPECT_TRUE(item.failed());
}

TEST(Conformance, AToleranceIsWidenedByItsFactorOnly) {
  Item kept("item"), wider("item", 10);
  for (Item* item : {&kept, &wider}) item->expect_close("here", "x", torch::full({2}, 1.005), torch::ones({2}), 1e-3);
  EXPECT_TRUE(kept.failed());
  EXPECT_FALSE(wider.failed());
}

// ---- Option sets

struct Options {
  double temperature = 0.1, share = 0.5;
  int64_t rounds = 3;
  bool detach = false;
  std::string mask = "exact";
  void describe(foil::Fields& f) {
    f.number("temperature", temperature, "", foil::above(0));
    f.number("share", share, "of the whole", foil::between(0, 1));
    f.integer("rounds", rounds, "how often", foil::at_least(1));
    f.flag("detach", detach, "no gradient");
    f.choice("mask", mask, {"exact", "additive"}, "how");
  }
};

class Constant final : public foil::Loss {
 public:
  using Options = ::Options;
  explicit Constant(Options options) {
    if (options.rounds > 50) foil::fail(foil::Exit::usage, "rounds takes at most 50.");
  }
  foil::Tensor forward(const foil::LossInput& input) override { return input.z[0].new_zeros({}); }
};

Component constant(std::vector<std::string> samples = {}) {
  Component component = foil::detail::component<foil::Loss, Constant>("loss", "constant");
  component.conformance.samples = std::move(samples);
  return component;
}

std::vector<std::string> texts(const std::vector<foil::conformance::OptionSet>& sets) {
  std::vector<std::string> all;
  for (const auto& set : sets) all.push_back(set.text);
  return all;
}

TEST(OptionSets, AreTheDefaultEachChoiceFlagAndEndOfARangeAndTheSamples) {
  EXPECT_EQ(texts(foil::conformance::option_sets(constant({"share = 0.25\nrounds = 2"})).single),
            (std::vector<std::string>{"default", "temperature = 0.001", "temperature = 1000.0", "share = 0.0", "share = 1.0",
                                      "rounds = 1", "detach = true", "mask = \"additive\"", "share = 0.25,rounds = 2"}));
}

TEST(OptionSets, PairEachSwitchWithEverythingElseAndNoteWhatTheLossRefuses) {
  const auto sets = foil::conformance::option_sets(constant());
  EXPECT_EQ(sets.paired.size(), 11u);  // two switches with five values of the three ranges and with each other
  EXPECT_EQ(sets.refused, (std::vector<std::string>{"rounds = 64: rounds takes at most 50."}));
}

TEST(OptionSets, ShortenALongQueueUnlessItsLengthIsTried) {
  struct Long {
    int64_t length = 65536;
    void describe(foil::Fields& f) { f.integer("length", length, "of the queue", foil::at_least(1)); }
  };
  Component component = constant();
  component.describe = [](foil::Fields& f) { Long().describe(f); };
  component.make = [](foil::Fields& f) -> std::shared_ptr<void> {
    Long().describe(f);
    return std::static_pointer_cast<foil::Loss>(std::make_shared<Constant>(Constant::Options{}));
  };
  const auto sets = foil::conformance::option_sets(component);
  EXPECT_EQ(texts(sets.single), (std::vector<std::string>{"length = 64", "length = 1", "length = 128"}));
  EXPECT_EQ(sets.plain.text, "default");
}

TEST(Conformance, ReportsAnOptionWithoutDoc) {
  const Report report = foil::conformance::test(constant());
  EXPECT_NE(report.item("describe").text().find("temperature: describe() gives no doc"), std::string::npos);
}

TEST(Conformance, RunsOneItemAloneWhereItIsNamed) {
  const Report report = foil::conformance::test(constant(), "draws");
  ASSERT_EQ(report.items.size(), 1u);
  EXPECT_EQ(report.items[0].name(), "draws");
  EXPECT_FALSE(report.skipped());
  try {
    foil::conformance::test(constant(), "drawn");
    FAIL() << "accepted";
  } catch (const foil::Error& error) {
    const std::string text = error.what();
    EXPECT_TRUE(text.starts_with("unknown item 'drawn'. Known items: describe, ranges, ")) << text;
    EXPECT_TRUE(text.ends_with(" Did you mean 'draws'?")) << text;
  }
}

TEST(Conformance, ReportsWhyAToleranceIsWider) {
  Component component = constant();
  component.conformance.wider = {{"precision", 4, "two square roots"}};
  const std::string text = foil::conformance::test(component).item("precision").text();
  EXPECT_NE(text.find("note: its tolerances are 4 times as wide: two square roots"), std::string::npos) << text;
}

}  // namespace
