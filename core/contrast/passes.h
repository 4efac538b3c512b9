// SPDX-License-Identifier: BSD-3-Clause
// The passes over all tiles.
#pragma once

#include "contrast/plan.h"

namespace foil::contrast {

// The matrix that a cached plan keeps; undefined otherwise.
Tensor room_for_matrix(const Problem& problem, const Plan& plan);

// The results of all channels. Fills `matrix` where it is defined.
States statistics(const Problem& problem, const Plan& plan, const Tensor& matrix);

// The gradients from those of the results: `upstream[k]` fp64, as the states of channel k. Reads `matrix`
// where it is defined.
Gradients gradients(const Problem& problem, const Plan& plan, const States& states,
                    const std::vector<Tensor>& upstream, const Wanted& wanted, const Tensor& matrix);

// Of one channel per row, by the panel: its results, and the gradients of the sum over rows of the LSE, of
// softplus(LSE - positive) where `positive` (fp64 [N]) is defined, or of the sum. Gradients of column.offset
// are not made.
struct Averaged {
  States states;
  Gradients gradients;
};
Averaged averaged(const Problem& problem, const Plan& plan, const Tensor& positive, const Wanted& wanted);

}  // namespace foil::contrast
