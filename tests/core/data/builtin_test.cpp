// SPDX-License-Identifier: BSD-3-Clause
// What the program knows by name from this folder.
#include "data/builtin.h"

#include "data/selection.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace foil {
namespace {

class Recorder : public Plugin {
 public:
  std::map<std::string, Component> components;  // by "kind name"

 private:
  void add(Component component) override {
    components.emplace(component.kind + " " + component.name, component);
  }
};

// Leaves every option as it is, but makes integers small; notes the keys.
class Small : public Fields {
 public:
  std::set<std::string> keys;
  void number(const char* key, double&, const char*, Range) override { note(key); }
  void integer(const char* key, int64_t& value, const char*, Range allowed) override {
    EXPECT_TRUE(allowed.contains(static_cast<double>(value))) << key;
    value = std::min<int64_t>(value, 5);
    note(key);
  }
  void flag(const char* key, bool&, const char*) override { note(key); }
  void choice(const char* key, std::string&, const std::vector<std::string>&, const char*) override {
    note(key);
  }
  void text(const char* key, std::string&, const char*) override { note(key); }
  void path(const char* key, std::string&, const char*) override { note(key); }
  void numbers(const char* key, std::vector<double>&, const char*, Range) override { note(key); }
  void integers(const char* key, std::vector<int64_t>&, const char*, Range) override { note(key); }
  void texts(const char* key, std::vector<std::string>&, const char*) override { note(key); }

 private:
  void note(const char* key) { EXPECT_TRUE(keys.insert(key).second) << key << " twice"; }
};

Recorder builtin() {
  Recorder recorder;
  register_builtin_data(recorder);
  return recorder;
}

TEST(Builtin, HasTheseNames) {
  std::vector<std::string> names;
  for (const auto& [name, component] : builtin().components) names.push_back(name);
  EXPECT_EQ(
      names,
      (std::vector<std::string>{
          "data set cifar10",         "data set cifar100",   "data set citeseer", "data set cora",
          "data set digits",          "data set embeddings", "data set emoji",    "data set fashion_mnist",
          "data set graph",           "data set graph_csv",  "data set idx",      "data set image_folder",
          "data set mnist",           "data set pairs",      "data set stl10",    "data set synthetic",
          "data set synthetic_graph", "data set webdataset", "sampler all",       "sampler uniform"}));
}

TEST(Builtin, NoOptionTakesAKeyOfTheSelection) {
  for (const auto& [name, component] : builtin().components) {
    SCOPED_TRACE(name);
    Small fields;
    component.describe(fields);
    SelectionOptions().describe(fields);  // both are read from [data]
  }
}

TEST(Builtin, MakesWhatWasAskedFor) {
  const Recorder recorder = builtin();
  Small fields;
  const auto data =
      std::static_pointer_cast<Dataset>(recorder.components.at("data set synthetic").make(fields));
  EXPECT_EQ(data->size(Split::train), 5);
  EXPECT_EQ(data->modalities().at(0).shape.sizes, (std::vector<int64_t>{3, 5, 5}));
  const auto sampler =
      std::static_pointer_cast<Sampler>(recorder.components.at("sampler uniform").make(fields));
  sampler->setup(1, 2, 5, data->labels(Split::train));
  EXPECT_EQ(sampler->steps_per_epoch(), 2);
}

}  // namespace
}  // namespace foil
