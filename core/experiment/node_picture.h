// SPDX-License-Identifier: BSD-3-Clause
// A picture of what an encoder makes of the nodes of a graph.
#pragma once

#include "experiment/experiment.h"

#include <string>

namespace foil {

// The features of the nodes in their principal plane, a colour a class, as SVG: all nodes with a label, of
// more than 5,000 so many, drawn once. Empty where the samples are not all nodes of a graph with labels.
std::string node_picture(Experiment& experiment);

}  // namespace foil
