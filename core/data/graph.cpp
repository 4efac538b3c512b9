// SPDX-License-Identifier: BSD-3-Clause
// The tensors of a file, each of the type and shape that graph.h says; what is in them GraphDataset looks at.
#include "data/graph.h"

#include "data/file.h"
#include "run/safetensors.h"
#include "run/text.h"

#include <torch/types.h>

namespace foil {
namespace {

TensorFile load(const std::string& path) {
  ByteReader file(path);
  std::string bytes, block(size_t{1} << 20, '\0');
  while (const int64_t got = file.read(block.data(), static_cast<int64_t>(block.size())))
    bytes.append(block, 0, static_cast<size_t>(got));
  return parse_tensors(bytes, printable(path));
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(printable(path)), file_(load(path)) {}

  std::string name(const std::string& tensor) const { return path_ + ": " + tensor; }
  bool has(const std::string& tensor) const { return file_.tensors.contains(tensor); }

  // One that must be there, int64 and of these sizes, -1 being any.
  Tensor integers(const std::string& tensor, std::initializer_list<int64_t> sizes) const {
    const Tensor found = of_sizes(tensor, sizes);
    if (!at::isIntegralType(found.scalar_type(), false)) refuse(tensor, found, "integers");
    return found.to(torch::kLong).contiguous();
  }
  // The same of float; whole numbers will do.
  Tensor numbers(const std::string& tensor, std::initializer_list<int64_t> sizes) const {
    return of_sizes(tensor, sizes).to(torch::kFloat).contiguous();
  }
  // A list of nodes; undefined where it is not there.
  Tensor list(const std::string& tensor) const { return has(tensor) ? integers(tensor, {-1}) : Tensor(); }

 private:
  [[noreturn]] void refuse(const std::string& tensor, const Tensor& got, const std::string& allowed) const {
    fail(Exit::data, name(tensor), " is ", got.dtype(), " ", got.sizes(), ", allowed: ", allowed, ".");
  }

  Tensor of_sizes(const std::string& tensor, std::initializer_list<int64_t> sizes) const {
    const auto found = file_.tensors.find(tensor);
    if (found == file_.tensors.end()) {
      std::vector<std::string> names;
      for (const auto& [known, value] : file_.tensors) names.push_back(printable(known));
      fail(Exit::data, path_, ": no tensor '", tensor, "'.", known_names("tensors", tensor, names));
    }
    bool fits = found->second.dim() == static_cast<int64_t>(sizes.size());
    std::string allowed;
    for (size_t d = 0; d < sizes.size(); ++d) {
      const int64_t size = sizes.begin()[d];
      fits = fits && (size < 0 || found->second.size(static_cast<int64_t>(d)) == size);
      allowed += (d ? ", " : "") + (size < 0 ? std::string("any") : std::to_string(size));
    }
    if (!fits) refuse(tensor, found->second, "[" + allowed + "]");
    return found->second;
  }

  std::string path_;
  TensorFile file_;
};

// Features by their non-zeros, as coalesced COO.
Tensor sparse_features(const Reader& reader) {
  const Tensor index = reader.integers("x_indices", {2, -1}),
               values = reader.numbers("x_values", {index.size(1)}), shape = reader.integers("x_shape", {2});
  const int64_t rows = shape[0].item<int64_t>(), columns = shape[1].item<int64_t>();
  if (rows < 0 || columns < 0)
    fail(Exit::data, reader.name("x_shape"), " is [", rows, ", ", columns, "], allowed: sizes >= 0.");
  const Tensor most = shape.unsqueeze(1);  // [2, 1]
  const Tensor wrong = (index < 0).logical_or_(index >= most).any(0).nonzero();
  if (wrong.numel() > 0) {
    const int64_t at = wrong[0].item<int64_t>();
    fail(Exit::data, reader.name("x_indices"), ": entry ", at, " is feature ", index[1][at].item<int64_t>(),
         " of node ", index[0][at].item<int64_t>(), ", but x_shape is [", rows, ", ", columns, "].");
  }
  return torch::sparse_coo_tensor(index, values, {rows, columns}).coalesce();
}

GraphParts read_graph(const std::string& path) {
  const Reader reader(path);
  GraphParts parts;
  const bool sparse = !reader.has("x") && reader.has("x_indices");
  parts.name = {reader.name(sparse ? "x_values" : "x"),
                reader.name("edge_index"),
                reader.name("y"),
                reader.name("train_index"),
                reader.name("val_index"),
                reader.name("test_index")};
  parts.x = sparse ? sparse_features(reader) : reader.numbers("x", {-1, -1});
  parts.edges.ends = reader.integers("edge_index", {2, -1});
  if (reader.has("edge_weight"))
    parts.edges.weight = reader.numbers("edge_weight", {parts.edges.ends.size(1)});
  if (reader.has("y")) parts.label = reader.integers("y", {parts.x.size(0)}).clone();
  parts.train = reader.list("train_index");
  parts.validation = reader.list("val_index");
  parts.test = reader.list("test_index");
  const Tensor unlabelled = reader.list("unlabelled_index");
  if (!unlabelled.defined() || !parts.label.defined()) return parts;
  for (int64_t i = 0; i < unlabelled.size(0); ++i) {
    const int64_t node = unlabelled.const_data_ptr<int64_t>()[i], nodes = parts.label.size(0);
    if (node < 0 || node >= nodes)
      fail(Exit::data, reader.name("unlabelled_index"), ": entry ", i, " is node ", node, ", allowed: 0 to ",
           nodes - 1, ".");
    parts.label.mutable_data_ptr<int64_t>()[node] = -1;
  }
  return parts;
}

const std::string& given(const std::string& path) {
  if (path.empty()) refuse("path", "\"\"", "the safetensors file of the graph");
  return path;
}

// The file of a set that is known by name, which is that of its folder too.
std::string find(const std::string& name, const std::string& path) {
  const std::string file = name + ".safetensors";
  return plain_or_gz(find_folder({name, name, file, "",
                                  "the files ind." + name +
                                      ".* of github.com/kimiyoung/planetoid, as tensors in one file as "
                                      "README.md says of data sets of a graph"},
                                 path),
                     file);
}

}  // namespace

Graph::Graph(const Options& options) : GraphDataset(read_graph(given(options.path)), options.form) {}
Cora::Cora(const Options& options) : GraphDataset(read_graph(find("cora", options.path)), options.form) {}
CiteSeer::CiteSeer(const Options& options)
    : GraphDataset(read_graph(find("citeseer", options.path)), options.form) {}

}  // namespace foil
