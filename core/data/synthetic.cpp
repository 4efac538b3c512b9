// SPDX-License-Identifier: BSD-3-Clause
// Drawing the samples, each from a key of its own.
#include "data/synthetic.h"

#include "run/file.h"

#include <foil/random.h>

#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

constexpr double kPi = 3.14159265358979323846;

// The draws that belong to a class, and to a sample of a split.
Draws draws_of(const Synthetic::Options& options, const char* what, int64_t id) {
  return Draws(mix_key(name_key(what), static_cast<uint64_t>(options.seed)), static_cast<uint64_t>(id));
}

// Writes one image [C, size, size].
void paint(const Synthetic::Options& o, int64_t label, Draws draws, uint8_t* pixel) {
  const double turn = static_cast<double>(label) / static_cast<double>(o.classes);
  const double angle = kPi * turn + 0.1 * draws.normal();
  const double side = static_cast<double>(o.size);
  const double centre_y = side * draws.uniform(0.35, 0.65), centre_x = side * draws.uniform(0.35, 0.65);
  const double cosine = std::cos(angle), sine = std::sin(angle);
  const double along = 0.3 * side, across = 0.1 * side;
  for (int64_t c = 0; c < o.channels; ++c) {
    const double shade = turn + static_cast<double>(c) / static_cast<double>(o.channels);
    const double colour = 150 + 60 * std::cos(2 * kPi * shade);
    for (int64_t y = 0; y < o.size; ++y) {
      for (int64_t x = 0; x < o.size; ++x) {
        const double dy = static_cast<double>(y) + 0.5 - centre_y,
                     dx = static_cast<double>(x) + 0.5 - centre_x;
        const double u = (dx * cosine + dy * sine) / along, v = (dy * cosine - dx * sine) / across;
        const double value = 30 + colour * std::exp(-0.5 * (u * u + v * v)) + draws.uniform(-25, 25);
        *pixel++ = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
      }
    }
  }
}

// Writes one vector [F].
void scatter(const Synthetic::Options& o, int64_t label, Draws draws, float* value) {
  Draws mean = draws_of(o, "class", label);
  for (int64_t f = 0; f < o.features; ++f) *value++ = static_cast<float>(mean.normal() + draws.normal());
}

Table make(const Synthetic::Options& o, const char* split, int64_t samples) {
  if (samples == 0) return {};
  Table table;
  table.data = o.features > 0 ? torch::empty({samples, o.features}, torch::kFloat)
                              : torch::empty({samples, o.channels, o.size, o.size}, torch::kByte);
  table.label = torch::arange(samples, torch::kLong).remainder(o.classes);
  for (int64_t i = 0; i < samples; ++i) {
    if (o.features > 0) {
      scatter(o, i % o.classes, draws_of(o, split, i), table.data.mutable_data_ptr<float>() + i * o.features);
    } else {
      paint(o, i % o.classes, draws_of(o, split, i),
            table.data.mutable_data_ptr<uint8_t>() + i * o.channels * o.size * o.size);
    }
  }
  return table;
}

Contents make(const Synthetic::Options& options) {
  constexpr int64_t kMostClasses = 1'000'000;  // each has a name
  if (options.classes > kMostClasses)
    refuse("classes", options.classes, "at most " + std::to_string(kMostClasses));
  const auto count = [](int64_t value) {
    return static_cast<double>(value);
  };  // whose product may pass 64 bits
  const double sample = options.features > 0
                            ? count(options.features) * sizeof(float)
                            : count(options.channels) * count(options.size) * count(options.size);
  require_memory("data set 'synthetic'",
                 (count(options.samples) + count(options.test_samples)) * (sample + sizeof(int64_t)));
  Contents contents{make(options, "train", options.samples), make(options, "test", options.test_samples), {}};
  for (int64_t c = 0; c < options.classes; ++c) contents.classes.push_back(std::to_string(c));
  return contents;
}

}  // namespace

Synthetic::Synthetic(const Options& options) : MemoryDataset(make(options)), options_(options) {}

std::string Synthetic::identity() const {
  const Options& o = options_;
  std::string all = "synthetic";
  for (const int64_t value : {o.samples, o.test_samples, o.classes, o.channels, o.size, o.features, o.seed}) {
    all += ' ' + std::to_string(value);
  }
  return checksum(all);
}

}  // namespace foil
