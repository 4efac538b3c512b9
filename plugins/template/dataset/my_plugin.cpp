// MyPlugin: a table of numbers as a data set, the last column of each line being the label, "0.3,1.7,4.0,2":
// train.csv and, where it is there, test.csv of a folder. Say here where the data comes from and who made it.
//
//   [data]
//   name = "my_plugin"
//   path = "/path/to/the/data"
#include <foil/plugin.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

using foil::Split;
using foil::Tensor;

// The samples of a split; a data set does not change once it is made.
struct Table {
  Tensor data = torch::empty({0, 0});              // float [N, F]
  Tensor label = torch::empty({0}, torch::kLong);  // [N], -1 where a sample has none
  uint64_t checksum = foil::name_key("");
};

// Every line or none: what cannot be read is an error that names the file and the line.
Table read_table(const std::string& file) {
  std::ifstream in(file);
  if (!in) foil::fail(foil::Exit::data, file, ": cannot be read.");
  std::vector<std::vector<float>> rows;
  Table table;
  for (std::string line; std::getline(in, line);) {
    std::istringstream cells(line);
    rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) {
      std::istringstream number(cell);
      if (!(number >> rows.back().emplace_back()))
        foil::fail(foil::Exit::data, file, ":", rows.size(), ": '", cell, "' is no number.");
    }
    if (rows.back().size() < 2 || rows.back().size() != rows[0].size())
      foil::fail(foil::Exit::data, file, ":", rows.size(), ": ", rows.back().size(),
                 " cells, allowed: two or more, as many in each line.");
    table.checksum = foil::mix_key(table.checksum, foil::name_key(line));
  }
  if (rows.empty()) foil::fail(foil::Exit::data, file, ": has no line.");
  const int64_t n = static_cast<int64_t>(rows.size()), width = static_cast<int64_t>(rows[0].size()) - 1;
  table.data = torch::empty({n, width});
  table.label = torch::empty({n}, torch::kLong);
  for (int64_t i = 0; i < n; ++i) {
    const std::vector<float>& row = rows[static_cast<size_t>(i)];
    std::copy_n(row.data(), width, table.data.mutable_data_ptr<float>() + i * width);
    table.label[i] = static_cast<int64_t>(row.back());
  }
  return table;
}

class MyPlugin final : public foil::Dataset {
 public:
  struct Options {
    std::string path;
    int64_t classes = 3;
    void describe(foil::Fields& f) {
      f.path("path", path, "folder with train.csv and test.csv");
      f.integer("classes", classes, "labels go from 0 to one below it", foil::at_least(1));
    }
  };

  explicit MyPlugin(const Options& options) : classes_(options.classes) {
    if (options.path.empty())
      foil::fail(foil::Exit::data, "data.path is not given, allowed: the folder of train.csv.");
    train_ = read_table(options.path + "/train.csv");
    if (std::filesystem::exists(options.path + "/test.csv")) test_ = read_table(options.path + "/test.csv");
    for (const Table* table : {&train_, &test_}) {
      if (((table->label < -1) | (table->label >= classes_)).any().item<bool>())
        foil::fail(foil::Exit::data, options.path, ": a label is not in -1 ... ", classes_ - 1,
                   ", the classes of data.classes.");
    }
  }

  int64_t size(Split split) const override { return table(split).data.size(0); }
  std::vector<std::string> classes() const override {
    std::vector<std::string> names;
    for (int64_t c = 0; c < classes_; ++c) names.push_back(std::to_string(c));
    return names;
  }
  Tensor labels(Split split) const override { return table(split).label.clone(); }
  std::vector<foil::Modality> modalities() const override {
    return {{"vector", {foil::Kind::vector, {train_.data.size(1)}, 0}}};
  }
  bool in_memory() const override { return true; }

  // Called from several threads at once: it only reads.
  foil::Views read(Split split, const Tensor& index) const override {
    foil::View view;
    view.modality = "vector";
    view.kind = foil::Kind::vector;
    view.data = table(split).data.index_select(0, index);  // [B, F]
    return {view};
  }

  // Differs when a sample or a label does: results and runs name it.
  std::string identity() const override {
    return std::to_string(train_.checksum) + "-" + std::to_string(test_.checksum);
  }

 private:
  const Table& table(Split split) const { return split == Split::train ? train_ : test_; }

  int64_t classes_;
  Table train_, test_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.dataset<MyPlugin>("my_plugin"); }
