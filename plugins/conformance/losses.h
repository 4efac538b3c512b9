// SPDX-License-Identifier: BSD-3-Clause
// The items of a loss.
#pragma once

#include "conformance.h"

namespace foil::conformance {

// What forward and after_step read, against needs() (needs.cpp).
void needs_are_honest(const Subject& subject, Item& item);

// Of samples without a label (labels.cpp).
void labels_of_none_are_kept(const Subject& subject, Item& item);

// Of one step (steps.cpp).
void gradient_is_the_derivative(const Subject& subject, Item& item);
void order_of_samples_is_nothing(const Subject& subject, Item& item);
void extremes_stay_finite(const Subject& subject, Item& item);
void masks_are_exact(const Subject& subject, Item& item);
void precision_is_that_of_the_inputs(const Subject& subject, Item& item);
void micro_batches_equal_the_whole(const Subject& subject, Item& item);
void draws_are_keyed(const Subject& subject, Item& item);
void cuda_equals_cpu(const Subject& subject, Item& item);

// Of several steps (states.cpp).
void ranks_equal_one(const Subject& subject, Item& item);
void resume_is_exact(const Subject& subject, Item& item);
void state_is_registered(const Subject& subject, Item& item);
void evaluation_changes_nothing(const Subject& subject, Item& item);

}  // namespace foil::conformance
