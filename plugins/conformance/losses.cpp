// SPDX-License-Identifier: BSD-3-Clause
#include "losses.h"

namespace foil::conformance {

std::vector<Check> loss_checks() {
  return {
      {"needs", needs_are_honest, /*decides=*/true},
      {"labels", labels_of_none_are_kept},
      {"gradient", gradient_is_the_derivative},
      {"ranks", ranks_equal_one},
      {"permutation", order_of_samples_is_nothing},
      {"extremes", extremes_stay_finite},
      {"masks", masks_are_exact},
      {"precision", precision_is_that_of_the_inputs},
      {"cuda", cuda_equals_cpu},
      {"resume", resume_is_exact},
      {"registered", state_is_registered},
      {"evaluation", evaluation_changes_nothing},
      {"micro_batches", micro_batches_equal_the_whole},
      {"draws", draws_are_keyed},
  };
}

}  // namespace foil::conformance
