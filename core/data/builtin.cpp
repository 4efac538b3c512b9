// SPDX-License-Identifier: BSD-3-Clause
// One line a component.
#include "data/builtin.h"

#include "data/all.h"
#include "data/cifar.h"
#include "data/digits.h"
#include "data/embeddings.h"
#include "data/emoji.h"
#include "data/graph.h"
#include "data/graph_csv.h"
#include "data/idx.h"
#include "data/image_folder.h"
#include "data/pairs.h"
#include "data/stl10.h"
#include "data/synthetic.h"
#include "data/synthetic_graph.h"
#include "data/uniform.h"
#include "data/webdataset.h"

namespace foil {

void register_builtin_data(Plugin& plugin) {
  plugin.dataset<FashionMnist>("fashion_mnist");
  plugin.dataset<Mnist>("mnist");
  plugin.dataset<Idx>("idx");
  plugin.dataset<Cifar10>("cifar10");
  plugin.dataset<Cifar100>("cifar100");
  plugin.dataset<Stl10>("stl10");
  plugin.dataset<ImageFolder>("image_folder");
  plugin.dataset<Digits>("digits");
  plugin.dataset<Emoji>("emoji");
  plugin.dataset<Pairs>("pairs");
  plugin.dataset<WebDataset>("webdataset");
  plugin.dataset<Embeddings>("embeddings");
  plugin.dataset<Graph>("graph");
  plugin.dataset<GraphCsv>("graph_csv");
  plugin.dataset<Cora>("cora");
  plugin.dataset<CiteSeer>("citeseer");
  plugin.dataset<Synthetic>("synthetic");
  plugin.dataset<SyntheticGraph>("synthetic_graph");
  plugin.sampler<All>("all");
  plugin.sampler<Uniform>("uniform");
}

}  // namespace foil
