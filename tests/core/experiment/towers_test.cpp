// SPDX-License-Identifier: BSD-3-Clause
// Several modalities in an experiment file: which tables make which tower, which views an augmentation
// applies to, and what is refused where it stands.
#include "config/dump.h"
#include "tests/core/experiment/small_parts.h"
#include "tests/support/error_of.h"

#include <gtest/gtest.h>

namespace foil {
namespace {

using test::checked;
using test::refusal;

// Images and vectors of the same samples. [encoder] is line 11.
const std::string kTwo =
    "[run]\nsteps = 1\n[data]\nname = \"synthetic\"\nmodalities = [\"image\", \"vector\"]\nfeatures = 4\n"
    "samples = 32\nbatch_size = 8\n[[loss]]\nname = \"spread\"\n";
const std::string kBoth =
    "[encoder]\nname = \"means\"\n[encoder.vector]\nname = \"line\"\n[head]\ndims = [5, 3]\n";
const std::string kOf = "[views]\nof = [\"image\", \"vector\"]\n";

Experiment built(const std::string& lines) { return build(checked(kTwo + lines), at::kCPU); }
std::string not_built(const std::string& lines) {
  return refusal([&] { built(lines); });
}

TEST(Towers, AreOneForEachSubTableAndTakeTheirModality) {
  const Experiment x = built(kBoth + kOf);
  ASSERT_EQ(x.model->parts().size(), 2u);
  EXPECT_EQ(x.model->parts()[0].name, "image");  // of the plain tables: by its kind
  EXPECT_EQ(x.model->parts()[1].name, "vector");
  std::vector<std::string> prefixes;
  for (const auto& [prefix, module] : x.modules()) prefixes.push_back(prefix);
  EXPECT_EQ(prefixes, (std::vector<std::string>{"tower.image.", "tower.vector.", "loss.0."}));
  const Views raw = x.dataset->read(Split::train, torch::arange(6));
  const Views views = x.pipeline->training_views(raw, torch::arange(6), 0);
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[1].kind, Kind::vector);
  EXPECT_EQ(x.model->forward(views).z[1].sizes(), (std::vector<int64_t>{6, 3}));
}

TEST(Towers, LayTheirSubTableOverThePlainKeys) {
  const Plan plan =
      checked(kTwo +
              "[encoder]\nname = \"line\"\nlargest = 9\n[encoder.vector]\nwidths = [7]\nsays = 7\n"
              "[encoder.image]\nname = \"means\"\n[head]\ndims = [5, 3]\n[head.vector]\nkind = \"linear\"\n"
              "[model.image]\nfrozen = true\n" +
              kOf);
  ASSERT_EQ(plan.towers.size(), 2u);
  const TowerPlan &vector = plan.towers[0], &image = plan.towers[1];
  EXPECT_EQ(vector.name, "vector");
  EXPECT_EQ(vector.encoder.table.find("largest")->integer(), 9) << "a plain key holds";
  EXPECT_EQ(vector.encoder.table.find("says")->integer(), 7);
  EXPECT_EQ(image.encoder.component->name, "means") << "an encoder of its own has options of its own";
  EXPECT_EQ(vector.head.kind, HeadOptions::Kind::linear);
  EXPECT_EQ(vector.head.dims, (std::vector<int64_t>{5, 3}));
  EXPECT_TRUE(image.model.frozen);
  EXPECT_FALSE(vector.model.frozen);
  EXPECT_EQ(&tower_plan(plan, "query", Kind::vector), &vector) << "by its kind";
  EXPECT_EQ(&tower_plan(plan, "note", Kind::text), &plan.tower) << "neither: the plain keys";
  // What is printed reads back to the same.
  const std::string printed = dump(plan.resolved, false);
  EXPECT_EQ(dump(checked(printed).resolved, false), printed);
}

TEST(Towers, OfOneKindAreSharedUnlessATableSaysOtherwise) {
  const std::string twice = "[views]\nof = [\"vector\", \"vector\"]\n";
  const Experiment one = built("[encoder]\nname = \"line\"\n" + twice);
  ASSERT_EQ(one.model->parts().size(), 1u);
  EXPECT_EQ(one.model->parts()[0].name, "") << "its tensors are called tower.encoder...";
}

TEST(Towers, AreRefusedWhereNoViewIsTheirs) {
  EXPECT_EQ(not_built(kBoth + kOf + "[head.vectr]\ndims = [3]\n"),
            "e.toml:19:7: [head.vectr] is of no view: unknown modality or kind 'vectr'. Known modalities and "
            "kinds: image, vector. Did you mean 'vector'?");
  EXPECT_EQ(not_built("[encoder]\nname = \"line\"\n" + kOf),
            "e.toml:1:1: [encoder] would be that of 'image' (image) and of 'vector' (vector): write "
            "[encoder.vector].");
  EXPECT_EQ(not_built("[encoder.vector]\nname = \"line\"\n" + kOf),
            "e.toml:1:1: there is no encoder for 'image': write [encoder.image].");
  EXPECT_EQ(not_built(kBoth + kOf + "[head.vector]\ndims = [9]\n"),
            "e.toml:20:8: head.vector.dims = 9, allowed: 3, the width of z of 'image'.");
  EXPECT_EQ(not_built("[encoder]\nname = \"line\"\n[encoder.image]\nname = \"means\"\n[head]\ndims = [3]\n"
                      "[head.image]\ndims = [9]\n" +
                      kOf),
            "e.toml:16:8: head.dims = 3, allowed: 9, the width of z of 'image'.");
  EXPECT_EQ(refusal([] { checked(kTwo + "[encoder.vector]\nwidths = [1]\n"); }),
            "e.toml:11:1: encoder.vector.name is missing.");
}

TEST(Views, AreOfTheModalitiesThatTheTableNames) {
  EXPECT_EQ(
      not_built(kBoth),
      "e.toml:4:8: the data set 'synthetic' has the modalities \"image\", \"vector\": say in [views] of what "
      "the views are.");
  EXPECT_EQ(
      not_built(kBoth + "[views]\nof = [\"image\", \"vectors\"]\n"),
      "e.toml:18:6: unknown modality 'vectors' in views.of. Known modalities: image, vector. Did you mean "
      "'vector'?");
  EXPECT_EQ(refusal([] { checked(kTwo + kBoth + kOf + "count = 3\n"); }),
            "e.toml:19:9: views.count = 3, allowed: 2, as views.of names so many, or leave it out.");
  EXPECT_EQ(checked(kTwo + "views = [0, 2]\n" + kBoth + "[views]\nof = [\"image\", \"image\", \"vector\"]\n")
                .views.count,
            3);
}

TEST(LossViews, AreThoseThatItsTableNamesInItsOrder) {
  const std::string three = kBoth + "[views]\nof = [\"image\", \"image\", \"vector\"]\nfull = 2\n";
  const Experiment x = build(checked(kTwo + "views = [1, 2]\n" + three), at::kCPU);
  EXPECT_EQ(x.losses[0].views, (std::vector<int64_t>{1, 2}));
  const auto refused = [&](const std::string& views) {
    return refusal([&] { checked(kTwo + "views = " + views + "\n" + three); });
  };
  EXPECT_EQ(refused("[0, 1, 2]"), "e.toml:10:8: the loss 'spread' needs 2 views, loss.views names 3.");
  EXPECT_EQ(refused("[1, 1]"), "e.toml:10:8: loss.views names view 1 twice, allowed: each once.");
  EXPECT_EQ(refused("[2, 0]"),
            "e.toml:10:8: loss.views names view 0 behind a small crop, allowed: views at full size first.");
  EXPECT_EQ(refused("[2]"),
            "e.toml:10:8: loss.views names no view at full size, allowed: one or more of the first 2.");
  EXPECT_EQ(refused("[0, 3]"), "e.toml:11:13: loss.views[1] = 3, allowed: an integer from 0 to 2.");
}

TEST(Views, AreAugmentedByWhatIsForTheirKind) {
  const Experiment x = built(kBoth + kOf + "[[augment]]\nname = \"darken\"\n");
  const Tensor index = torch::arange(4);
  const Views raw = x.dataset->read(Split::train, index), views = x.pipeline->training_views(raw, index, 0);
  EXPECT_TRUE(torch::equal(views[0].data, as_float_image(raw[0].data) / 2));
  EXPECT_TRUE(torch::equal(views[1].data, raw[1].data)) << "darken is for images";
  EXPECT_EQ(x.pipeline->modalities()[0].preparation, "none");

  const std::string darken = "[[augment]]\nname = \"darken\"\n";
  EXPECT_EQ(not_built(kBoth + kOf + darken + "views = [1]\n"),
            "e.toml:20:8: the augmentation 'darken' is for image; view 1 is of 'vector' (vector).");
  EXPECT_EQ(
      not_built(kBoth + kOf + darken + "modality = \"vector\"\n"),
      "e.toml:20:8: the augmentation 'darken' is for 'vector', image; the views are of 'image' (image), "
      "'vector' (vector).");
  EXPECT_EQ(
      not_built(kBoth + kOf + darken + "modality = \"imge\"\n"),
      "e.toml:20:8: unknown modality 'imge' in augment.modality. Known modalities: image, vector. Did you "
      "mean 'image'?");
}

TEST(Views, BeyondThoseOfTrainingAreMadeAsTheFirstOfTheirModality) {
  const Experiment x = built(kBoth + kOf);
  EXPECT_EQ(x.pipeline->modalities()[1].view, 1);
  const int64_t other = x.pipeline->modalities()[1].other;
  const Tensor index = torch::arange(3);
  const Views raw = x.dataset->read(Split::train, index);
  EXPECT_TRUE(torch::equal(x.pipeline->training_view(raw, index, -1, other).data, raw[1].data));
  EXPECT_FALSE(torch::equal(x.pipeline->training_view(raw, index, -1, other).key,
                            x.pipeline->training_view(raw, index, -1, 1).key));
}

}  // namespace
}  // namespace foil
