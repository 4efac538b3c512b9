// SPDX-License-Identifier: BSD-3-Clause
// Baselines: what the trials of a study are measured beside, without training.
#pragma once

#include "config/sweep.h"
#include "experiment/experiment.h"

#include <string>
#include <vector>

namespace foil {

// Raw pixels once, where there is one modality, and the untrained encoder of the first variant with each of
// its seeds: the same evaluator as for the trials. What was measured before by the same experiment, and on
// `data` where both are known, stays.
void measure_baselines(const FindComponent& find, bool quiet, const std::vector<Trial>& trials,
                       const std::string& study, const std::string& data);

}  // namespace foil
