// SPDX-License-Identifier: BSD-3-Clause
// What a data set of one graph must hold besides what all must.
#pragma once

#include "findings.h"

#include <foil/dataset.h>

namespace foil::conformance {

bool is_graph(const Dataset& dataset);

// nodes(), node_labels() and labels() of a split fit together, and no label that a result is measured by is
// one that may be learned from.
void expect_nodes(Item& item, const std::string& where, Split split, const Dataset& dataset);
// Features and edges of the whole graph, as View and modalities() say.
void expect_graph(Item& item, const std::string& where, const View& view, const Dataset& dataset);
// `got` is `want`, bit for bit.
void expect_whole(Item& item, const std::string& where, const View& got, const View& want);
// A number that differs where the graphs do.
double number_of(const View& view);

}  // namespace foil::conformance
