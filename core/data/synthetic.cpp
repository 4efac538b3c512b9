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

// What a sample is, in every modality alike.
struct Sample {
  int64_t label;
  double y, x;  // its place, in [0, 1)
};

constexpr int64_t kWave = 2000, kRate = 8000;  // samples of a wave, and in a second
constexpr int64_t kText = 48;                  // bytes of a text

Sample sample_of(const Synthetic::Options& o, const char* split, int64_t i) {
  Draws draws = draws_of(o, split, i);
  draws.normal();  // the turn of its image
  const double y = draws.uniform();
  return {i % o.classes, y, draws.uniform()};
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

// Writes one wave: the pitch of its class under noise, louder from left to right.
void play(const Synthetic::Options& o, const Sample& sample, Draws draws, int16_t* value) {
  const double pitch = 200 + 1800 * static_cast<double>(sample.label) / static_cast<double>(o.classes);
  const double loudness = 2000 + 12000 * sample.x, start = draws.uniform();
  for (int64_t t = 0; t < kWave; ++t) {
    const double turns = start + pitch * static_cast<double>(t) / kRate;
    *value++ = static_cast<int16_t>(loudness * std::sin(2 * kPi * turns) + draws.uniform(-1000, 1000));
  }
}

// "class 3 at row 41 column 57"
std::string text_of(const Sample& sample) {
  const auto percent = [](double share) { return std::to_string(static_cast<int64_t>(100 * share)); };
  return "class " + std::to_string(sample.label) + " at row " + percent(sample.y) + " column " +
         percent(sample.x);
}

// The rows of one modality.
Column column_of(const Synthetic::Options& o, const Shape& shape, const char* split, int64_t samples) {
  std::vector<int64_t> sizes = shape.sizes;
  sizes.insert(sizes.begin(), samples);
  const auto rows = [&](at::ScalarType type) { return torch::zeros(sizes, type); };
  const auto each = [&](auto* first, int64_t numbers, auto write) {
    for (int64_t i = 0; i < samples; ++i) write(i, first + i * numbers);
  };
  const auto draws = [&](int64_t i) { return draws_of(o, split, i); };
  Column column;
  switch (shape.kind) {
    case Kind::image:
      column.data = rows(torch::kByte);
      each(column.data.mutable_data_ptr<uint8_t>(), o.channels * o.size * o.size,
           [&](int64_t i, uint8_t* to) { paint(o, i % o.classes, draws(i), to); });
      break;
    case Kind::vector:
      column.data = rows(torch::kFloat);
      each(column.data.mutable_data_ptr<float>(), o.features, [&](int64_t i, float* to) {
        scatter(o, i % o.classes, draws(i), to);
        if (o.modalities.size() > 1) to[0] += static_cast<float>(4 * sample_of(o, split, i).x);
      });
      break;
    case Kind::audio:
      column.data = rows(torch::kShort);
      each(column.data.mutable_data_ptr<int16_t>(), kWave,
           [&](int64_t i, int16_t* to) { play(o, sample_of(o, split, i), draws(i), to); });
      break;
    case Kind::text:
      column.data = rows(torch::kByte);
      column.length = torch::zeros({samples}, torch::kLong);
      each(column.data.mutable_data_ptr<uint8_t>(), kText, [&](int64_t i, uint8_t* to) {
        const std::string text = text_of(sample_of(o, split, i)).substr(0, kText);
        std::copy(text.begin(), text.end(), to);
        column.length[i] = static_cast<int64_t>(text.size());
      });
      break;
    case Kind::graph:  // not among the modalities it makes
      break;
  }
  return column;
}

Shape shape_of(const Synthetic::Options& o, Kind kind) {
  if (kind == Kind::image) return {kind, {o.channels, o.size, o.size}, 0};
  if (kind == Kind::vector) return {kind, {o.features}, 0};
  return kind == Kind::audio ? Shape{kind, {kWave}, kRate} : Shape{kind, {kText}, 256};
}

std::vector<Modality> modalities_of(const Synthetic::Options& o) {
  const Kind only = o.features > 0 ? Kind::vector : Kind::image;
  if (o.modalities.empty()) return {{name_of(only), shape_of(o, only)}};
  const std::vector<std::string> known = {"image", "vector", "audio", "text"};
  std::vector<Modality> all;
  for (const std::string& name : o.modalities) {
    const auto at = std::find(known.begin(), known.end(), name);
    if (at == known.end())
      throw Error("unknown entry '" + name + "' in modalities." + known_names("modalities", name, known),
                  Exit::usage);
    if (std::count(o.modalities.begin(), o.modalities.end(), name) > 1)
      refuse("modalities", "'" + name + "' twice", "each once");
    if (name == "vector" && o.features == 0) refuse("features", 0, "1 or more, as there are vectors");
    constexpr Kind kinds[] = {Kind::image, Kind::vector, Kind::audio, Kind::text};
    all.push_back({name, shape_of(o, kinds[at - known.begin()])});
  }
  return all;
}

Table make(const Synthetic::Options& o, const std::vector<Modality>& modalities, const char* split,
           int64_t samples) {
  Table table;
  if (samples == 0) return table;
  for (const Modality& one : modalities) table.columns.push_back(column_of(o, one.shape, split, samples));
  table.label = torch::arange(samples, torch::kLong).remainder(o.classes);
  return table;
}

Contents make(const Synthetic::Options& options) {
  constexpr int64_t kMostClasses = 1'000'000;  // each has a name
  if (options.classes > kMostClasses)
    refuse("classes", options.classes, "at most " + std::to_string(kMostClasses));
  const auto count = [](int64_t value) {
    return static_cast<double>(value);
  };  // whose product may pass 64 bits
  const std::vector<Modality> modalities = modalities_of(options);
  double sample = sizeof(int64_t);
  for (const Modality& one : modalities) {
    double bytes = one.shape.kind == Kind::vector ? sizeof(float) : one.shape.kind == Kind::audio ? 2 : 1;
    for (const int64_t size : one.shape.sizes) bytes *= count(size);
    sample += bytes;
  }
  require_memory("data set 'synthetic'", (count(options.samples) + count(options.test_samples)) * sample);
  Contents contents;
  contents.modalities = modalities;
  contents.train = make(options, modalities, "train", options.samples);
  contents.test = make(options, modalities, "test", options.test_samples);
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
  for (const std::string& name : o.modalities) all += ' ' + name;
  return checksum(all);
}

}  // namespace foil
