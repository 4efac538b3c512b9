// SPDX-License-Identifier: BSD-3-Clause
// What the tests of augmentations share: stored vectors of torchvision, where an augmentation is applied, and
// the claims that every augmentation must keep. Not a test itself.
#pragma once

#include "run/safetensors.h"
#include "tests/support/error_of.h"

#include <foil/plugin.h>

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace foil::test {

inline std::map<std::string, Tensor> golden(const std::string& name) {
  return load_tensors(std::string(FOIL_SOURCE) + "/tests/golden/augment/" + name + ".safetensors").tensors;
}

inline void expect_near(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LE((got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>(), tolerance);
}

inline AugmentContext place(const Tensor& index, uint64_t seed = 1, int64_t step = 0, int64_t view = 0,
                            int64_t position = 0) {
  return {seed, step, view, position, index};
}
inline AugmentContext place(int64_t samples) { return place(at::arange(samples)); }

// Texts as they are read: uint8 [B, longest] with the bytes of each that count, and `behind` after them.
inline View view_of_texts(const std::vector<std::string>& texts, int64_t longest = 64, uint8_t behind = 0) {
  View view;
  view.modality = "name_en";
  view.kind = Kind::text;
  view.data = at::full({static_cast<int64_t>(texts.size()), longest}, behind, at::kByte);
  std::vector<int64_t> length;
  for (size_t b = 0; b < texts.size(); ++b) {
    std::copy_n(texts[b].data(), texts[b].size(),
                view.data.mutable_data_ptr<uint8_t>() + static_cast<int64_t>(b) * longest);
    length.push_back(static_cast<int64_t>(texts[b].size()));
  }
  view.length = at::tensor(length);
  return view;
}

inline Tensor random_images(at::IntArrayRef shape, uint64_t seed) {
  return at::randint(0, 256, shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::kByte);
}

inline Tensor applied(Augmentation& augmentation, const Tensor& images, const AugmentContext& context) {
  View view;
  view.data = images;
  return augmentation.apply(view, context).data;
}

// The allowed range of every number of a component's options, by key.
class Ranges final : public Fields {
 public:
  template <class T>
  static std::map<std::string, Range> of() {
    Ranges ranges;
    typename T::Options options;
    options.describe(ranges);
    return ranges.allowed_;
  }
  void number(const char* key, double&, const char*, Range allowed) override { allowed_[key] = allowed; }
  void integer(const char* key, int64_t&, const char*, Range allowed) override { allowed_[key] = allowed; }
  void numbers(const char* key, std::vector<double>&, const char*, Range allowed) override {
    allowed_[key] = allowed;
  }
  void integers(const char* key, std::vector<int64_t>&, const char*, Range allowed) override {
    allowed_[key] = allowed;
  }
  void flag(const char*, bool&, const char*) override {}
  void choice(const char*, std::string&, const std::vector<std::string>&, const char*) override {}
  void text(const char*, std::string&, const char*) override {}
  void path(const char*, std::string&, const char*) override {}
  void texts(const char*, std::vector<std::string>&, const char*) override {}

 private:
  std::map<std::string, Range> allowed_;
};

// The same bits for a sample alone, at another position, in another batch size, with one thread and with two.
inline void expect_only_the_sample_matters(Augmentation& augmentation, const Tensor& images) {
  const int64_t n = images.size(0);
  const Tensor index = at::arange(n).mul(1000003).add(17), reversed = at::arange(n - 1, -1, -1);
  at::set_num_threads(1);
  const Tensor whole = applied(augmentation, images, place(index));
  EXPECT_TRUE(applied(augmentation, images.index({reversed}), place(index.index({reversed})))
                  .equal(whole.index({reversed})));
  for (int64_t b = 0; b < n; ++b)
    EXPECT_TRUE(applied(augmentation, images.narrow(0, b, 1), place(index.narrow(0, b, 1)))
                    .equal(whole.narrow(0, b, 1)))
        << b;
  at::set_num_threads(2);
  EXPECT_TRUE(applied(augmentation, images, place(index)).equal(whole));
  EXPECT_TRUE(applied(augmentation, images.narrow(0, 2, n - 2), place(index.narrow(0, 2, n - 2)))
                  .equal(whole.narrow(0, 2, n - 2)));
  at::set_num_threads(1);
}

// Another seed, step, view, position in the pipeline or sample, another draw.
inline void expect_every_part_of_the_place_matters(Augmentation& augmentation, const Tensor& images) {
  const Tensor index = at::arange(images.size(0)),
               base = applied(augmentation, images, place(index, 5, 6, 7, 8));
  EXPECT_TRUE(applied(augmentation, images, place(index, 5, 6, 7, 8)).equal(base));
  EXPECT_FALSE(applied(augmentation, images, place(index, 6, 6, 7, 8)).equal(base));
  EXPECT_FALSE(applied(augmentation, images, place(index, 5, 7, 7, 8)).equal(base));
  EXPECT_FALSE(applied(augmentation, images, place(index, 5, 6, 8, 8)).equal(base));
  EXPECT_FALSE(applied(augmentation, images, place(index, 5, 6, 7, 9)).equal(base));
  EXPECT_FALSE(applied(augmentation, images, place(index + 100, 5, 6, 7, 8)).equal(base));
}

// Bytes, float and double give the same image; the input is left alone.
inline void expect_any_type(Augmentation& augmentation, const Tensor& bytes) {
  const Tensor before = bytes.clone(), real = bytes.to(at::kDouble) / 255, real_before = real.clone();
  const Tensor from_double = applied(augmentation, real, place(bytes.size(0)));
  EXPECT_EQ(from_double.scalar_type(), at::kDouble);
  EXPECT_TRUE(real.equal(real_before));
  for (const Tensor& x :
       {bytes, real.to(at::kFloat), real.to(at::kFloat).to(at::MemoryFormat::ChannelsLast)}) {
    const Tensor got = applied(augmentation, x, place(bytes.size(0)));
    EXPECT_EQ(got.scalar_type(), at::kFloat);
    expect_near(got, from_double, 1e-5);
  }
  EXPECT_TRUE(bytes.equal(before));
  EXPECT_EQ(applied(augmentation, bytes.narrow(0, 0, 0), place(0)).size(0), 0);
}

inline void expect_refuses_what_is_no_image(Augmentation& augmentation) {
  EXPECT_EQ(refusal([&] {
              applied(augmentation, at::zeros({2, 3}), place(2));
            }),
            "an image augmentation got data [2, 3], allowed: images [B, C, H, W]");
  EXPECT_EQ(refusal([&] {
              applied(augmentation, at::zeros({2, 3, 4, 4}, at::kInt), place(2));
            }),
            "an image augmentation got int, allowed: uint8, float, double");
}

// Kolmogorov-Smirnov: n values of a uniform distribution on [low, high] stay within 1.95 / sqrt(n) of it (one
// seed in a thousand does not).
inline void expect_uniform(std::vector<double> x, double low, double high) {
  std::sort(x.begin(), x.end());
  const double n = static_cast<double>(x.size());
  double distance = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double u = (x[i] - low) / (high - low), rank = static_cast<double>(i);
    distance = std::max({distance, u - rank / n, (rank + 1) / n - u});
  }
  EXPECT_GE(x.front(), low);
  EXPECT_LE(x.back(), high);
  EXPECT_LE(distance, 1.95 / std::sqrt(n));
}

// How often something of this probability came in n draws: within four standard deviations.
inline void expect_frequency(int64_t count, int64_t n, double probability) {
  const double expected = static_cast<double>(n) * probability;
  EXPECT_NEAR(static_cast<double>(count), expected, 4 * std::sqrt(expected * (1 - probability)));
}

}  // namespace foil::test
