// SPDX-License-Identifier: BSD-3-Clause
// A picture of what an encoder makes of the samples.
#pragma once

#include "experiment/experiment.h"

#include <string>

namespace foil {

// The features of the split that is measured, or of the nodes of a graph, in their principal plane, a colour
// a class, as SVG: all samples with a label, of more than 2,000 so many, drawn once for all runs. Empty where
// there are no labels, more than 20 classes, or several modalities.
std::string feature_picture(Experiment& experiment);

}  // namespace foil
