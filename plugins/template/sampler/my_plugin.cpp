// MyPlugin: each batch has as many samples of each class as of any other, give or take one; within a class
// they are drawn with repeats. Samples without a label are never drawn. Paper: say here which one.
//
//   [sampler]
//   name = "my_plugin"
#include <foil/plugin.h>

#include <algorithm>

namespace {

using foil::Tensor;

class MyPlugin final : public foil::Sampler {
 public:
  struct Options {
    void describe(foil::Fields&) {}  // f.integer("classes_per_batch", ...): one line an option
  };
  explicit MyPlugin(Options) {}

  void setup(uint64_t seed, int64_t batch_size, int64_t dataset_size, const Tensor& labels) override {
    if (!labels.defined())
      foil::fail(foil::Exit::usage,
                 "the sampler my_plugin balances classes, and the data set has no labels.");
    seed_ = seed;
    batch_size_ = batch_size;
    steps_per_epoch_ = std::max<int64_t>(dataset_size / batch_size, 1);
    rows_of_class_.clear();
    const auto label_of = labels.accessor<int64_t, 1>();
    for (int64_t row = 0; row < dataset_size; ++row) {
      const int64_t label = label_of[row];
      if (label < 0) continue;
      rows_of_class_.resize(std::max(rows_of_class_.size(), static_cast<size_t>(label) + 1));
      rows_of_class_[static_cast<size_t>(label)].push_back(row);
    }
    std::erase_if(rows_of_class_, [](const std::vector<int64_t>& rows) { return rows.empty(); });
    if (rows_of_class_.empty())
      foil::fail(foil::Exit::usage, "the sampler my_plugin needs a sample with a label.");
  }

  // A function of the seed and the step alone: ranks and resumed runs ask for any step in any order.
  Tensor batch(int64_t step) override {
    foil::Draws draws(foil::mix_key(seed_, foil::name_key("my_plugin")), static_cast<uint64_t>(step));
    Tensor rows = torch::empty({batch_size_}, torch::kLong);
    const size_t first = static_cast<size_t>(
        draws.below(static_cast<int64_t>(rows_of_class_.size())));  // which class has one more
    for (int64_t b = 0; b < batch_size_; ++b) {
      const std::vector<int64_t>& own =
          rows_of_class_[(first + static_cast<size_t>(b)) % rows_of_class_.size()];
      rows[b] = own[static_cast<size_t>(draws.below(static_cast<int64_t>(own.size())))];
    }
    return rows;
  }

  int64_t steps_per_epoch() const override { return steps_per_epoch_; }

 private:
  uint64_t seed_ = 0;
  int64_t batch_size_ = 0, steps_per_epoch_ = 0;
  std::vector<std::vector<int64_t>> rows_of_class_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.sampler<MyPlugin>("my_plugin"); }
