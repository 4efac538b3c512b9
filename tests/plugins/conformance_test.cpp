// SPDX-License-Identifier: BSD-3-Clause
// The tests of the conformance tests: a sound loss passes every item, each planted bug is reported by the
// item made for it, and a failure says what differs, where and by how much. FOIL_PLANTED is the folder of
// planted.so and of those of the other kinds.
#include "plugins/conformance/conformance.h"

#include "data/builtin.h"
#include "plugins/conformance/checked_ranks.h"
#include "plugins/loader.h"
#include "tests/core/data/files.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace {

using foil::Component;
using foil::conformance::Item;
using foil::conformance::Report;

const Component& planted(const std::string& name, const std::string& kind = "loss") {
  static const bool loaded = [] {
    at::set_num_threads(1);
    for (const char* file :
         {"planted", "planted_encoders", "planted_augmentations", "planted_data", "planted_graphs"})
      foil::load_plugin(std::string(FOIL_PLANTED) + "/" + file + ".so", foil::Registry::instance());
    foil::Registry::instance().enter("built in", foil::register_builtin_data);
    return true;
  }();
  EXPECT_TRUE(loaded);
  return foil::Registry::instance().find(kind, name, "test");
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

using Table = std::vector<std::pair<const char*, const char*>>;

// Of each bug of a kind, the item that must report it.
void expect_caught(const std::string& kind, const Table& table) {
  fmt::print("{:<42}{:<14}{}\n", "bug", "caught by", "all items that fail");
  for (const auto& [bug, item] : table) {
    const Report report = foil::conformance::test(planted(bug, kind));
    EXPECT_TRUE(report.item(item).failed()) << report.text(bug);
    fmt::print("{:<42}{:<14}{}\n", bug, report.item(item).failed() ? item : "NOTHING",
               items_that_fail(report));
  }
}

TEST(Conformance, EachPlantedBugOfALossIsCaughtByItsItem) {
  expect_caught("loss", {{"divided_by_world_size", "ranks"},
                         {"gather_without_gradient", "ranks"},
                         {"mean_of_local_anchors", "ranks"},
                         {"offset_of_rank_times_batch", "ranks"},
                         {"skips_a_gather_without_rows", "ranks"},
                         {"mask_of_minus_1e9", "masks"},
                         {"mask_of_minus_1e4_in_a_product", "masks"},
                         {"mask_of_minus_100_where_there_are_others", "masks"},
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
                         {"reads_features_without_asking", "needs"},
                         {"keeps_rows_by_sample_without_asking", "needs"},
                         {"edges_by_row_of_this_rank", "ranks"},
                         {"reads_views_without_asking", "needs"},
                         {"forgets_features_in_csr", "needs"}});
}

TEST(Conformance, EachPlantedBugOfAnEncoderIsCaughtByItsItem) {
  expect_caught("encoder", {{"feature_dim_of_the_map", "shapes"},
                            {"dropout_of_the_global_generator", "draws"},
                            {"dropout_in_evaluation", "evaluation"},
                            {"dropout_by_batch_position", "permutation"},
                            {"batch_norm_of_libtorch", "batch_norm"},
                            {"statistics_of_one_rank", "ranks"},
                            {"statistics_in_a_plain_member", "registered"},
                            {"statistics_move_in_evaluation", "evaluation"},
                            {"writes_into_its_view", "input"},
                            {"flattens_an_empty_batch", "shapes"},
                            {"leaves_other_shapes_to_libtorch", "shapes"},
                            {"divides_by_the_deviation", "extremes"},
                            {"skips_batch_norm_without_rows", "ranks"},
                            {"depends_on_the_batch_in_evaluation", "permutation"},
                            {"adds_the_number_of_a_node", "permutation"},
                            {"takes_dense_features_alone", "shapes"}});
}

TEST(Conformance, EachPlantedBugOfAnAugmentationIsCaughtByItsItem) {
  expect_caught("augmentation", {{"draws_from_the_global_generator", "draws"},
                                 {"draws_by_batch_position", "permutation"},
                                 {"draws_without_the_step", "place"},
                                 {"counts_its_calls", "draws"},
                                 {"writes_into_its_view", "input"},
                                 {"makes_its_view_anew", "input"},
                                 {"shape_after_is_the_shape_before", "shapes"},
                                 {"fails_without_samples", "shapes"},
                                 {"leaves_bytes_as_they_are", "types"},
                                 {"makes_fp32_of_fp64", "types"},
                                 {"evaluation_is_random", "evaluation"},
                                 {"evaluation_has_no_name", "evaluation"},
                                 {"divides_by_the_brightest", "extremes"},
                                 {"looks_at_the_batch", "permutation"},
                                 {"all_ragged_images_as_the_first", "permutation"},
                                 {"leaves_vectors_to_libtorch", "shapes"},
                                 {"draws_by_position_in_the_edge_list", "permutation"},
                                 {"loses_the_ids_of_edges", "shapes"},
                                 {"keeps_the_ids_of_all_edges", "shapes"}});
}

TEST(Conformance, EachPlantedBugOfADataSetIsCaughtByItsItem) {
  expect_caught("data set", {{"label_beyond_the_classes", "labels"},
                             {"labels_of_int32", "labels"},
                             {"labels_without_classes", "labels"},
                             {"labels_are_drawn_anew", "labels"},
                             {"shape_is_height_first", "shapes"},
                             {"images_of_floats", "shapes"},
                             {"reads_in_the_order_of_the_file", "read"},
                             {"drops_repeats", "read"},
                             {"fails_without_samples", "read"},
                             {"gives_its_own_memory", "read"},
                             {"writes_into_the_index", "read"},
                             {"one_buffer_for_all_threads", "threads"},
                             {"identity_of_the_size_only", "identity"},
                             {"identity_of_the_moment", "identity"},
                             {"reads_with_random_noise", "draws"},
                             {"labels_of_test_in_training", "labels"},
                             {"edges_of_int32", "shapes"},
                             {"reads_the_nodes_of_the_index", "shapes"}});
}

TEST(Conformance, EachPlantedBugOfASamplerIsCaughtByItsItem) {
  expect_caught("sampler", {{"goes_on_from_its_last_batch", "steps"},
                            {"draws_from_the_global_generator", "steps"},
                            {"last_batch_is_short", "batches"},
                            {"counts_rows_from_one", "batches"},
                            {"no_step_in_a_pass", "batches"},
                            {"rows_of_int32", "batches"},
                            {"gives_its_own_memory", "steps"},
                            {"sorts_the_labels", "labels"},
                            {"divides_by_the_steps_of_a_pass", "setup"}});
}

TEST(Conformance, PassesASoundComponentOfEveryKindAndTheBuiltInOnes) {
  const Table sound = {
      {"encoder", "sound"},           {"augmentation", "sound"},      {"data set", "sound"},
      {"sampler", "sound"},           {"data set", "synthetic"},      {"sampler", "uniform"},
      {"loss", "sound_on_graphs"},    {"encoder", "sound_on_graphs"}, {"augmentation", "sound_on_graphs"},
      {"data set", "sound_on_graphs"}};
  for (const auto& [kind, name] : sound) {
    const Report report = foil::conformance::test(planted(name, kind));
    EXPECT_TRUE(report.passed()) << report.text(std::string(kind) + " " + name);
  }
}

TEST(Conformance, TestsADataSetAtTheGivenPathAndSaysHowToGiveOne) {
  using foil::test::idx;
  const foil::test::Folder folder;
  folder.write("train-images-idx3-ubyte", idx({5, 2, 3}, foil::test::noise(30)));
  folder.write("train-labels-idx1-ubyte", idx({5}, {9, 0, 3, 3, 1}));
  folder.write("t10k-images-idx3-ubyte", idx({3, 2, 3}, foil::test::noise(18, 2)));
  folder.write("t10k-labels-idx1-ubyte", idx({3}, {2, 2, 7}));
  foil::Node given{foil::Node::Table{}, {}, {}};
  given.set("path", {folder.path(), {"--set"}, {"--set"}});
  const Report report = foil::conformance::test(planted("mnist", "data set"), "", given);
  EXPECT_TRUE(report.passed()) << report.text("mnist");
  given.set("path", {folder / "nowhere", {"--set"}, {"--set"}});
  const std::string text =
      foil::conformance::test(planted("mnist", "data set"), "describe", given).item("describe").text();
  EXPECT_NE(text.find("(--set path=DIR says where its files are)"), std::string::npos) << text;
}

TEST(Conformance, NamesTheInputThatIsReadWithoutAskingAndRunsNothingThatOnlyFollows) {
  const Report report = foil::conformance::test(planted("reads_labels_without_asking"));
  const std::string text = report.item("needs").text();
  EXPECT_NE(text.find("it reads input.label, for which needs() does not ask: needs.labels = true"),
            std::string::npos)
      << text;
  EXPECT_EQ(items_that_fail(report), "needs");
  EXPECT_NE(report.item("ranks").text().find("not run: mend 'needs' first"), std::string::npos);
  const std::string features =
      foil::conformance::test(planted("reads_features_without_asking"), "needs").text("");
  EXPECT_NE(features.find("it reads input.h, for which needs() does not ask: needs.features = true"),
            std::string::npos)
      << features;
}

TEST(Conformance, NamesTheCollectiveThatARankLeavesOut) {
  const std::string loss = foil::conformance::test(planted("skips_a_gather_without_rows"), "ranks").text("");
  EXPECT_NE(loss.find("rank 1 calls gather of double [rows, 5]"), std::string::npos) << loss;
  EXPECT_NE(loss.find("every rank must make the same calls in the same order, also with no rows"),
            std::string::npos)
      << loss;
  const std::string encoder =
      foil::conformance::test(planted("skips_batch_norm_without_rows", "encoder"), "ranks").text("");
  EXPECT_NE(encoder.find("rank 1 calls sum of double [2, 11]"), std::string::npos) << encoder;
}

TEST(Conformance, NamesTheOperationOfAMaskThatIsANumber) {
  const auto text = [](const char* bug) { return foil::conformance::test(planted(bug), "masks").text(""); };
  const std::string fill = text("mask_of_minus_100_where_there_are_others"),
                    product = text("mask_of_minus_1e4_in_a_product");
  EXPECT_NE(fill.find("masked_fill with -100: what it hides still counts"), std::string::npos) << fill;
  EXPECT_NE(product.find("a product of a mask with 10000: what it hides still counts"), std::string::npos)
      << product;
}

TEST(CheckedRanks, SayWhichCollectiveEachRankIsAboutToCall) {
  const auto x = [](int64_t rows) { return torch::ones({rows, 2}); };
  const auto run = [](const std::function<void(foil::Ranks&)>& body) {
    return foil::conformance::checked_ranks(
        3, [&](const std::shared_ptr<foil::Ranks>& ranks, const auto&) { body(*ranks); });
  };
  const std::string rule = "; every rank must make the same calls in the same order, also with no rows";
  EXPECT_EQ(run([&](foil::Ranks& ranks) { ranks.gather(x(ranks.rank())), ranks.sum(x(2)); }), "");
  EXPECT_EQ(run([&](foil::Ranks& ranks) { ranks.rank() == 1 ? ranks.sum(x(1)) : ranks.gather(x(1)); }),
            "rank 0 calls gather of float [rows, 2], rank 1 calls sum of float [1, 2]" + rule);
  EXPECT_EQ(run([&](foil::Ranks& ranks) { ranks.sum(x(ranks.rank() == 2 ? 4 : 1)); }),
            "rank 0 calls sum of float [1, 2], rank 2 calls sum of float [4, 2]" + rule);
  EXPECT_EQ(run([](foil::Ranks& ranks) {
              if (ranks.rank() == 1) foil::fail(foil::Exit::failure, "no");
              ranks.counts(1);
            }),
            "rank 1: no");
  const std::string left_out = run([](foil::Ranks& ranks) {
    if (ranks.rank() != 1) ranks.counts(1);
  });
  EXPECT_NE(left_out.find(" calls counts, rank 1 is done" + rule), std::string::npos) << left_out;
  // In backward too: a rank whose value does not depend on what it gathered.
  const std::string backward = run([&](foil::Ranks& ranks) {
    const foil::Tensor mine = x(1).requires_grad_(), all = ranks.gather(mine);
    (ranks.rank() == 1 ? mine : all).sum().backward();
  });
  EXPECT_NE(backward.find(" calls the gradient of gather of float [rows, 2], rank 1 is done"),
            std::string::npos)
      << backward;
}

TEST(Conformance, AFailureSaysWhatDiffersWhereAndByHowMuch) {
  const std::string text = foil::conformance::test(planted("divided_by_world_size")).item("ranks").text();
  EXPECT_NE(text.find("default, 2 ranks with 4, 3 samples, step 0: the gradient of z.0 at ["),
            std::string::npos)
      << text;
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
  for (Item* item : {&kept, &wider})
    item->expect_close("here", "x", torch::full({2}, 1.005), torch::ones({2}), 1e-3);
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
  Component component = foil::detail::component<foil::Loss, Constant>("loss", "constant", {});
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
            (std::vector<std::string>{"default", "temperature = 0.001", "temperature = 1000.0", "share = 0.0",
                                      "share = 1.0", "rounds = 1", "detach = true", "mask = \"additive\"",
                                      "share = 0.25,rounds = 2"}));
}

TEST(OptionSets, PairEachSwitchWithEverythingElseAndNoteWhatTheLossRefuses) {
  const auto sets = foil::conformance::option_sets(constant());
  EXPECT_EQ(sets.paired.size(),
            11u);  // two switches with five values of the three ranges and with each other
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
  const std::string text = foil::test::refusal([] { foil::conformance::test(constant(), "drawn"); });
  EXPECT_TRUE(text.starts_with("unknown item 'drawn'. Known items: describe, ranges, ")) << text;
  EXPECT_TRUE(text.ends_with(" Did you mean 'draws'?")) << text;
}

TEST(Conformance, ReportsWhyAToleranceIsWider) {
  Component component = constant();
  component.conformance.wider = {{"precision", 4, "two square roots"}};
  const std::string text = foil::conformance::test(component).item("precision").text();
  EXPECT_NE(text.find("note: its tolerances are 4 times as wide: two square roots"), std::string::npos)
      << text;
}

}  // namespace
