// SPDX-License-Identifier: BSD-3-Clause
// A sound data set and a sound sampler, and the same with one bug each, as people write them: to test the
// tests.
#include <foil/plugin.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace {

using foil::Draws;
using foil::Split;
using foil::Tensor;

enum class Bug {
  none,
  label_beyond_the_classes,
  labels_of_int32,
  labels_without_classes,
  labels_are_drawn_anew,
  shape_is_height_first,
  images_of_floats,
  reads_in_the_order_of_the_file,
  drops_repeats,
  fails_without_samples,
  gives_its_own_memory,
  writes_into_the_index,
  one_buffer_for_all_threads,
  identity_of_the_size_only,
  identity_of_the_moment,
  reads_with_random_noise,
};

// Images of a colour each.
template <Bug bug>
class Planted final : public foil::Dataset {
 public:
  struct Options {
    int64_t samples = 20;
    int64_t seed = 0;
    void describe(foil::Fields& f) {
      f.integer("samples", samples, "of the training split", foil::between(5, 100));
      f.integer("seed", seed, "of the colours", foil::between(0, 9));
    }
  };
  explicit Planted(Options options) : options_(options) {
    data_ = torch::empty({options.samples, 3, 4, 5}, at::kByte);
    for (int64_t i = 0; i < options.samples; ++i)
      data_[i].fill_(Draws(static_cast<uint64_t>(options.seed), static_cast<uint64_t>(i)).below(200));
    made_ = std::chrono::steady_clock::now().time_since_epoch().count();
  }

  int64_t size(Split split) const override { return split == Split::train ? options_.samples : 5; }
  std::vector<std::string> classes() const override {
    if (bug == Bug::labels_without_classes) return {};
    return {"a", "b"};
  }
  Tensor labels(Split split) const override {
    if (bug == Bug::labels_are_drawn_anew) return torch::randint(0, 2, {size(split)}, at::kLong);
    Tensor all =
        torch::arange(size(split), at::kLong).remainder(bug == Bug::label_beyond_the_classes ? 3 : 2);
    all[0] = -1;
    return bug == Bug::labels_of_int32 ? all.to(at::kInt) : all;
  }

  foil::Views read(Split, const Tensor& index) const override {
    if (bug == Bug::fails_without_samples && index.size(0) == 0) throw std::out_of_range("no sample");
    foil::View view;
    view.data = read(index);
    return {view};
  }

  std::vector<foil::Modality> modalities() const override {
    const bool height_first = bug == Bug::shape_is_height_first;
    return {{"image",
             {foil::Kind::image, height_first ? std::vector<int64_t>{4, 5, 3} : std::vector<int64_t>{3, 4, 5},
              0}}};
  }

  std::string identity() const override {
    if (bug == Bug::identity_of_the_moment) return std::to_string(made_);
    if (bug == Bug::identity_of_the_size_only) return std::to_string(options_.samples);
    return std::to_string(options_.samples) + "-" + std::to_string(options_.seed);
  }

 private:
  Tensor read(const Tensor& index) const {
    if (bug == Bug::reads_in_the_order_of_the_file) return data_.index_select(0, std::get<0>(index.sort()));
    if (bug == Bug::drops_repeats)
      return data_.index_select(0, std::get<0>(at::_unique(index, /*sorted=*/true)));
    if (bug == Bug::gives_its_own_memory && index.size(0) == data_.size(0)) return data_;
    if (bug == Bug::images_of_floats) return data_.index_select(0, index).to(at::kFloat) / 255;
    if (bug == Bug::reads_with_random_noise)
      return data_.index_select(0, index) + torch::randint(0, 9, {1}, at::kByte);
    if (bug == Bug::one_buffer_for_all_threads) {
      const int64_t first = index.size(0) > 0 ? index[0].item<int64_t>() : 0;
      first_ = first;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      return data_.index_select(0, (index + (first_ - first)).remainder(data_.size(0)));
    }
    const Tensor rows = data_.index_select(0, index);
    if (bug == Bug::writes_into_the_index && index.size(0) > 0) index.fill_(0);
    return rows;
  }

  Options options_;
  Tensor data_;
  int64_t made_ = 0;
  mutable std::atomic<int64_t> first_ = 0;
};

enum class Fault {
  none,
  goes_on_from_its_last_batch,
  draws_from_the_global_generator,
  last_batch_is_short,
  counts_rows_from_one,
  no_step_in_a_pass,
  rows_of_int32,
  gives_its_own_memory,
  sorts_the_labels,
  divides_by_the_steps_of_a_pass,
};

// A permutation a pass, by sorting draws.
template <Fault fault>
class Sampler final : public foil::Sampler {
 public:
  struct Options {
    void describe(foil::Fields&) {}
  };
  explicit Sampler(Options) {}

  void setup(uint64_t seed, int64_t batch_size, int64_t dataset_size, const Tensor& labels) override {
    if (batch_size > dataset_size && fault != Fault::divides_by_the_steps_of_a_pass)
      foil::refuse("batch_size", batch_size, "1 to the size of the training set");
    if (fault == Fault::divides_by_the_steps_of_a_pass && batch_size > dataset_size)
      throw std::domain_error("division by zero");
    if (fault == Fault::sorts_the_labels && labels.defined())
      const_cast<Tensor&>(labels).copy_(std::get<0>(labels.sort()));
    seed_ = seed;
    batch_ = batch_size;
    size_ = dataset_size;
    kept_ = torch::zeros({batch_size}, at::kLong);
  }

  Tensor batch(int64_t step) override {
    if (fault == Fault::goes_on_from_its_last_batch) step = next_++;
    const int64_t epoch = step / (size_ / batch_), at = step % (size_ / batch_);
    Draws draws(foil::mix_key(seed_, static_cast<uint64_t>(epoch)), 0);
    Tensor order = torch::empty({size_}, at::kDouble);
    for (int64_t i = 0; i < size_; ++i) order[i] = draws.uniform();
    if (fault == Fault::draws_from_the_global_generator) order = torch::rand({size_}, at::kDouble);
    const Tensor rows = order.argsort().narrow(0, at * batch_, batch_).clone();
    if (fault == Fault::last_batch_is_short && at + 1 == size_ / batch_) return rows.slice(0, 0, batch_ - 1);
    if (fault == Fault::counts_rows_from_one) return rows + 1;
    if (fault == Fault::rows_of_int32) return rows.to(at::kInt);
    if (fault == Fault::gives_its_own_memory)
      return last_ == step ? kept_ : (last_ = step, kept_.copy_(rows));
    return rows;
  }

  int64_t steps_per_epoch() const override { return fault == Fault::no_step_in_a_pass ? 0 : size_ / batch_; }

 private:
  uint64_t seed_ = 0;
  int64_t batch_ = 1, size_ = 0, next_ = 0, last_ = -1;
  Tensor kept_;
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.dataset<Planted<Bug::none>>("sound");
  plugin.dataset<Planted<Bug::label_beyond_the_classes>>("label_beyond_the_classes");
  plugin.dataset<Planted<Bug::labels_of_int32>>("labels_of_int32");
  plugin.dataset<Planted<Bug::labels_without_classes>>("labels_without_classes");
  plugin.dataset<Planted<Bug::labels_are_drawn_anew>>("labels_are_drawn_anew");
  plugin.dataset<Planted<Bug::shape_is_height_first>>("shape_is_height_first");
  plugin.dataset<Planted<Bug::images_of_floats>>("images_of_floats");
  plugin.dataset<Planted<Bug::reads_in_the_order_of_the_file>>("reads_in_the_order_of_the_file");
  plugin.dataset<Planted<Bug::drops_repeats>>("drops_repeats");
  plugin.dataset<Planted<Bug::fails_without_samples>>("fails_without_samples");
  plugin.dataset<Planted<Bug::gives_its_own_memory>>("gives_its_own_memory");
  plugin.dataset<Planted<Bug::writes_into_the_index>>("writes_into_the_index");
  plugin.dataset<Planted<Bug::one_buffer_for_all_threads>>("one_buffer_for_all_threads");
  plugin.dataset<Planted<Bug::identity_of_the_size_only>>("identity_of_the_size_only");
  plugin.dataset<Planted<Bug::identity_of_the_moment>>("identity_of_the_moment");
  plugin.dataset<Planted<Bug::reads_with_random_noise>>("reads_with_random_noise");
  plugin.sampler<Sampler<Fault::none>>("sound");
  plugin.sampler<Sampler<Fault::goes_on_from_its_last_batch>>("goes_on_from_its_last_batch");
  plugin.sampler<Sampler<Fault::draws_from_the_global_generator>>("draws_from_the_global_generator");
  plugin.sampler<Sampler<Fault::last_batch_is_short>>("last_batch_is_short");
  plugin.sampler<Sampler<Fault::counts_rows_from_one>>("counts_rows_from_one");
  plugin.sampler<Sampler<Fault::no_step_in_a_pass>>("no_step_in_a_pass");
  plugin.sampler<Sampler<Fault::rows_of_int32>>("rows_of_int32");
  plugin.sampler<Sampler<Fault::gives_its_own_memory>>("gives_its_own_memory");
  plugin.sampler<Sampler<Fault::sorts_the_labels>>("sorts_the_labels");
  plugin.sampler<Sampler<Fault::divides_by_the_steps_of_a_pass>>("divides_by_the_steps_of_a_pass");
}
