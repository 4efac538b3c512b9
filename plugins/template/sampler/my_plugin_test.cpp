#include "my_plugin.cpp"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace {

// Nine of class 0, two of class 1, one of class 2, one without a label.
const Tensor labels = torch::tensor({0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, -1}, torch::kLong);

TEST(MyPlugin, GivesEachClassItsShareOfABatch) {
  MyPlugin sampler({});
  sampler.setup(3, 7, labels.size(0), labels);
  for (int64_t step = 0; step < 5; ++step) {
    const Tensor drawn = labels.index_select(0, sampler.batch(step));
    EXPECT_EQ((drawn == -1).sum().item<int64_t>(), 0);
    for (int64_t c = 0; c < 3; ++c) {
      const int64_t count = (drawn == c).sum().item<int64_t>();
      EXPECT_TRUE(count == 2 || count == 3) << "class " << c << ": " << count;
    }
  }
}

TEST(MyPlugin, AStepHasTheSameBatchWheneverItIsAsked) {
  MyPlugin straight({}), resumed({});
  straight.setup(3, 7, labels.size(0), labels);
  resumed.setup(3, 7, labels.size(0), labels);
  straight.batch(0);
  straight.batch(1);
  EXPECT_TRUE(straight.batch(2).equal(resumed.batch(2)));
  EXPECT_FALSE(straight.batch(2).equal(straight.batch(3)));
}

}  // namespace
