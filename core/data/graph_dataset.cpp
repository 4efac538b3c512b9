// SPDX-License-Identifier: BSD-3-Clause
// Looking at every part of a graph once, then bringing it into the form that was asked for.
#include "data/graph_dataset.h"

#include "api/no_warnings.h"
#include "data/memory.h"
#include "run/file.h"

#include <torch/types.h>

#include <sstream>

namespace foil {
namespace {

// Below this share of non-zeros a product by rows of non-zeros is quicker than one of all entries.
constexpr double kSparse = 0.05;

using Part = std::pair<const Tensor*, const std::string*>;

// The first place at which `wrong` is true.
int64_t first(const Tensor& wrong) { return wrong.nonzero()[0][0].item<int64_t>(); }

void check_features(const GraphParts& parts) {
  const Tensor& x = parts.x;
  if (x.size(0) == 0) fail(Exit::data, parts.name.x, ": holds no node.");
  if (x.size(1) == 0) fail(Exit::data, parts.name.x, ": nodes without a feature.");
  const Tensor values = x.is_sparse() ? x._values() : x;
  const Tensor wrong = torch::isfinite(values).logical_not_().nonzero();
  if (wrong.size(0) == 0) return;
  const Tensor place = x.is_sparse() ? x._indices().select(1, wrong[0][0].item<int64_t>()) : wrong[0];
  Tensor value = values;
  for (int64_t d = 0; d < wrong.size(1); ++d) value = value[wrong[0][d].item<int64_t>()];
  fail(Exit::data, parts.name.x, ": feature ", place[1].item<int64_t>(), " of node ",
       place[0].item<int64_t>(), " is ", value.item<double>(), ", allowed: a finite number.");
}

void check_edges(const GraphParts& parts, int64_t nodes) {
  const Tensor& ends = parts.edges.ends;
  if (ends.size(1) == 0) fail(Exit::data, parts.name.edges, ": holds no edge.");
  const Tensor wrong = (ends < 0).logical_or_(ends >= nodes);  // [2, E]
  if (wrong.any().item<bool>()) {
    const int64_t edge = first(wrong.any(0)), end = wrong[0][edge].item<bool>() ? 0 : 1;
    fail(Exit::data, parts.name.edges, ": edge ", edge, end == 0 ? " comes from node " : " goes to node ",
         ends[end][edge].item<int64_t>(), ", allowed: 0 to ", nodes - 1, ".");
  }
  const Tensor loops = ends[0].masked_select(ends[0] == ends[1]);
  const Tensor of_node = loops.bincount({}, nodes);
  if ((of_node > 1).any().item<bool>()) {
    const int64_t node = first(of_node > 1);
    fail(Exit::data, parts.name.edges, ": node ", node, " has ", of_node[node].item<int64_t>(),
         " edges to itself, allowed: one at most.");
  }
  const Tensor& weight = parts.edges.weight;
  if (weight.defined() && !torch::isfinite(weight).all().item<bool>()) {
    const int64_t edge = first(torch::isfinite(weight).logical_not());
    fail(Exit::data, parts.name.edges, ": the weight of edge ", edge, " is ", weight[edge].item<double>(),
         ", allowed: a finite number.");
  }
}

void check_labels(const GraphParts& parts, int64_t nodes) {
  if (!parts.label.defined()) return;
  if (parts.label.size(0) != nodes)
    fail(Exit::data, parts.name.label, ": ", parts.label.size(0), " labels, but ", parts.name.x, " holds ",
         nodes, " nodes.");
  const Tensor wrong = (parts.label < -1).logical_or_(parts.label >= nodes);
  if (!wrong.any().item<bool>()) return;
  const int64_t node = first(wrong);
  fail(Exit::data, parts.name.label, ": label ", parts.label[node].item<int64_t>(), " of node ", node,
       ", allowed: 0 to ", nodes - 1, ", or -1 for none.");
}

// Every node of every split once, in one of them, and with a label where there are labels.
void check_splits(const GraphParts& parts, int64_t nodes) {
  std::vector<const std::string*> owner(static_cast<size_t>(nodes));
  for (const auto& [list, name] :
       {Part{&parts.train, &parts.name.train}, Part{&parts.validation, &parts.name.validation},
        Part{&parts.test, &parts.name.test}}) {
    if (!list->defined()) continue;
    for (int64_t i = 0; i < list->size(0); ++i) {
      const int64_t node = list->const_data_ptr<int64_t>()[i];
      if (node < 0 || node >= nodes)
        fail(Exit::data, *name, ": entry ", i, " is node ", node, ", allowed: 0 to ", nodes - 1, ".");
      const std::string*& before = owner[static_cast<size_t>(node)];
      if (before)
        fail(Exit::data, *name, ": entry ", i, " is node ", node,
             before == name ? ", which is there twice." : ", which is in " + *before + " too.");
      before = name;
      if (parts.label.defined() && parts.label.const_data_ptr<int64_t>()[node] < 0)
        fail(Exit::data, *name, ": entry ", i, " is node ", node, ", which has no label.");
    }
  }
}

// With the reverse of every edge that lacks it, behind the others.
Edges both_ways(const Edges& edges, int64_t nodes) {
  const Tensor forth = edges.ends[0] * nodes + edges.ends[1], back = edges.ends[1] * nodes + edges.ends[0];
  const Tensor missing = torch::isin(back, forth).logical_not_().nonzero().squeeze(1);
  Edges all{torch::cat({edges.ends, edges.ends.flip(0).index_select(1, missing)}, 1), {}, {}};
  if (edges.weight.defined()) all.weight = torch::cat({edges.weight, edges.weight.index_select(0, missing)});
  return all;
}

// Each row divided by its sum; one whose sum is 0 stays.
Tensor row_normalised(const Tensor& x) {
  const auto per_row = [](const Tensor& sum) { return torch::where(sum == 0, torch::ones_like(sum), sum); };
  if (!x.is_sparse()) return x / per_row(x.sum(1, true));
  const Tensor row = x._indices()[0];
  const Tensor sum = torch::zeros({x.size(0)}, x._values().options()).index_add(0, row, x._values());
  return torch::sparse_coo_tensor(x._indices(), x._values() / per_row(sum).index_select(0, row), x.sizes())
      ._coalesced_(true);
}

Tensor in_layout(const Tensor& x, GraphForm::Layout layout) {
  const NoWarnings silent;
  if (layout == GraphForm::Layout::automatic) {
    const auto filled = static_cast<double>(x.is_sparse() ? x._nnz() : x.count_nonzero().item<int64_t>());
    const bool sparse = filled < kSparse * static_cast<double>(x.size(0)) * static_cast<double>(x.size(1));
    layout = sparse ? GraphForm::Layout::csr : GraphForm::Layout::dense;
  }
  if (layout == GraphForm::Layout::csr) return x.to_sparse_csr();
  require_memory("dense features",
                 static_cast<double>(x.size(0)) * static_cast<double>(x.size(1)) * sizeof(float));
  return x.is_sparse() ? x.to_dense() : x.contiguous();
}

std::string counted(int64_t count, const char* one, const char* many) {
  return std::to_string(count) + (count == 1 ? one : many);
}

std::vector<std::string> remarks_on(const Edges& edges, int64_t nodes) {
  std::vector<std::string> all;
  const Tensor proper = edges.ends.index_select(1, (edges.ends[0] != edges.ends[1]).nonzero().squeeze(1));
  const int64_t alone = nodes - (proper.reshape({-1}).bincount({}, nodes) > 0).sum().item<int64_t>();
  if (alone > 0)
    all.push_back(counted(alone, " node has no edge to another", " nodes have no edge to another"));
  if (const int64_t loops = edges.ends.size(1) - proper.size(1); loops > 0)
    all.push_back(counted(loops, " node has an edge to itself", " nodes have an edge to themselves"));
  const Tensor distinct = std::get<0>(at::_unique(edges.ends[0] * nodes + edges.ends[1]));
  if (const int64_t more = edges.ends.size(1) - distinct.size(0); more > 0)
    all.push_back(counted(more, " edge repeats another", " edges repeat others"));
  return all;
}

std::string checksum_of(const Tensor& tensor) {
  if (!tensor.defined()) return "-";
  const Tensor bytes = tensor.contiguous();
  return checksum({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
}

}  // namespace

void GraphForm::describe(Fields& f) {
  f.flag("row_normalise", row_normalise,
         "divide the features of each node by their sum; a sum of 0 leaves them");
  f.flag("undirected", undirected, "add the reverse of every edge that lacks it");
  f.choice("layout", layout,
           {{"automatic", Layout::automatic}, {"dense", Layout::dense}, {"csr", Layout::csr}},
           "how features are held; automatic: csr where less than a twentieth are not 0");
}

GraphDataset::GraphDataset(GraphParts parts, const GraphForm& form) : parts_(std::move(parts)) {
  const int64_t nodes = parts_.x.size(0);
  check_features(parts_);
  check_edges(parts_, nodes);
  check_labels(parts_, nodes);
  check_splits(parts_, nodes);
  if (form.undirected) parts_.edges = both_ways(parts_.edges, nodes);
  parts_.edges.id = torch::arange(parts_.edges.ends.size(1));
  if (form.row_normalise) parts_.x = row_normalised(parts_.x);
  parts_.x = in_layout(parts_.x, form.layout);
  if (parts_.label.defined())
    for (int64_t c = 0, classes = parts_.label.max().item<int64_t>() + 1; c < classes; ++c)
      classes_.push_back(std::to_string(c));
  remarks_ = remarks_on(parts_.edges, nodes);
}

int64_t GraphDataset::size(Split split) const {
  if (split == Split::train) return parts_.x.size(0);
  const Tensor& list = split == Split::test ? parts_.test : parts_.validation;
  return list.defined() ? list.size(0) : 0;
}

Tensor GraphDataset::nodes(Split split) const {
  if (split == Split::train) return torch::arange(parts_.x.size(0));
  const Tensor& list = split == Split::test ? parts_.test : parts_.validation;
  return list.defined() ? list : torch::empty({0}, torch::kLong);
}

Tensor GraphDataset::labels(Split split) const {
  if (!parts_.label.defined()) return {};
  if (split != Split::train) return parts_.label.index_select(0, nodes(split));
  Tensor known = torch::full_like(parts_.label, -1);
  if (parts_.train.defined()) known.index_copy_(0, parts_.train, parts_.label.index_select(0, parts_.train));
  return known;
}

std::vector<Modality> GraphDataset::modalities() const {
  return {{"graph", {Kind::graph, {parts_.x.size(1)}, 0}}};
}

Views GraphDataset::read(Split split, const Tensor& index) const {
  check_index(index, size(split));
  View view;
  view.modality = "graph";
  view.kind = Kind::graph;
  view.data = parts_.x;
  view.edges = parts_.edges;
  return {view};
}

std::string GraphDataset::identity() const {
  std::call_once(hashed_, [this] {
    const NoWarnings silent;
    const Tensor x = parts_.x.layout() == at::kSparseCsr ? parts_.x : parts_.x.to_sparse_csr();
    std::ostringstream all;
    all << x.sizes();
    for (const Tensor& part :
         {x.crow_indices(), x.col_indices(), x.values(), parts_.edges.ends, parts_.edges.weight, parts_.label,
          parts_.train, parts_.validation, parts_.test})
      all << ' ' << checksum_of(part);
    identity_ = checksum(all.str());
  });
  return identity_;
}

}  // namespace foil
