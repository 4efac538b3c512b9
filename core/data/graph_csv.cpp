// SPDX-License-Identifier: BSD-3-Clause
// Tables of numbers between commas, and which of them make a graph.
#include "data/graph_csv.h"

#include "data/file.h"
#include "data/lines.h"
#include "run/text.h"

#include <torch/types.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

namespace foil {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::status(path, ignored).type() != fs::file_type::not_found;
}

// A cell of a table; `nan` in a table of whole numbers is -1.
template <class T>
T number_of(std::string_view cell, const Lines& lines) {
  while (cell.starts_with(' ')) cell.remove_prefix(1);
  while (cell.ends_with(' ')) cell.remove_suffix(1);
  if (std::is_integral_v<T> && (cell == "nan" || cell == "NaN")) return -1;
  T value{};
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error == std::errc() && end == cell.data() + cell.size()) return value;
  if (error == std::errc::result_out_of_range && !std::is_integral_v<T>)  // too small or too large for float
    return static_cast<T>(std::strtod(std::string(cell).c_str(), nullptr));
  fail(Exit::data, lines.place(), ": a cell is ", in_quotes(cell),
       ", allowed: ", std::is_integral_v<T> ? "an integer." : "a number.");
}

// The numbers of all lines, [lines, width]; without a `width` that of the first line.
template <class T>
Tensor read_table(const std::string& path, int64_t width = 0) {
  Lines lines(path);
  std::vector<T> numbers;
  std::string line;
  int64_t rows = 0;
  for (; lines.next(line); ++rows) {
    if (line.empty()) break;
    const int64_t cells = 1 + std::count(line.begin(), line.end(), ',');
    if (width == 0) width = cells;
    if (cells != width)
      fail(Exit::data, lines.place(), ": ", cells, cells == 1 ? " number" : " numbers", ", allowed: ", width,
           " in each line.");
    std::string_view rest = line;
    for (int64_t c = 0; c < cells; ++c) {
      const size_t comma = rest.find(',');
      numbers.push_back(number_of<T>(rest.substr(0, comma), lines));
      rest.remove_prefix(comma == rest.npos ? rest.size() : comma + 1);
    }
  }
  while (lines.next(line))
    if (!line.empty()) fail(Exit::data, lines.place(), ": a line behind an empty one.");
  return torch::tensor(numbers, c10::CppTypeToScalarType<T>::value).view({rows, std::max<int64_t>(width, 1)});
}

class Folder {
 public:
  explicit Folder(const GraphCsv::Options& options) : root_(options.path) {
    if (options.path.empty()) refuse("path", "\"\"", "the folder of raw/edge.csv");
    raw_ = is_there(root_ / "raw") ? root_ / "raw" : root_;
    split_ = split_folder(options.split);
  }

  // A file that must be there.
  std::string needed(const char* name) const {
    if (has(raw_, name)) return plain_or_gz(raw_.string(), name);
    fail(Exit::data, printable(raw_.string()), ": no ", name,
         "[.gz] in it. To get it: unpack a node data set of ogb.stanford.edu, whose folder data.path names.");
  }
  std::string label() const {
    return has(raw_, "node-label.csv") ? plain_or_gz(raw_.string(), "node-label.csv") : "";
  }
  // A list of nodes, called `name` from here on; undefined where it is not there.
  Tensor list(const char* file, std::string& name) const {
    if (split_.empty() || !has(split_, file)) return {};
    name = plain_or_gz(split_.string(), file);
    return read_table<int64_t>(name, 1).squeeze(1);
  }

 private:
  static bool has(const fs::path& folder, const std::string& name) {
    return is_there(folder / name) || is_there(folder / (name + ".gz"));
  }

  // The only folder in split/, or the one that is named; empty where there is none.
  fs::path split_folder(const std::string& named) const {
    const fs::path all = root_ / "split";
    std::vector<std::string> names;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(all, ignored))
      if (entry.is_directory(ignored)) names.push_back(printable(entry.path().filename().string()));
    std::sort(names.begin(), names.end());
    if (named.empty() && names.size() > 1)
      throw Error(
          "split = \"\", allowed where there are several: one of them." + known_names("splits", "", names),
          Exit::usage, "split");
    if (named.empty()) return names.empty() ? fs::path() : all / names[0];
    if (std::find(names.begin(), names.end(), named) == names.end())
      throw Error("split = \"" + named + "\": no such folder in " + printable(all.string()) + "." +
                      known_names("splits", named, names),
                  Exit::usage, "split");
    return all / named;
  }

  fs::path root_, raw_, split_;
};

GraphParts read_graph(const GraphCsv::Options& options) {
  const Folder folder(options);
  GraphParts parts;
  parts.name.edges = folder.needed("edge.csv");
  parts.name.x = folder.needed("node-feat.csv");
  parts.name.label = folder.label();
  parts.edges.ends = read_table<int64_t>(parts.name.edges, 2).t().contiguous();
  parts.x = read_table<float>(parts.name.x);
  if (!parts.name.label.empty()) parts.label = read_table<int64_t>(parts.name.label, 1).squeeze(1);
  parts.train = folder.list("train.csv", parts.name.train);
  parts.validation = folder.list("valid.csv", parts.name.validation);
  parts.test = folder.list("test.csv", parts.name.test);
  for (std::string* name : {&parts.name.x, &parts.name.edges, &parts.name.label, &parts.name.train,
                            &parts.name.validation, &parts.name.test})
    *name = printable(*name);
  return parts;
}

}  // namespace

GraphCsv::GraphCsv(const Options& options) : GraphDataset(read_graph(options), options.form) {}

}  // namespace foil
