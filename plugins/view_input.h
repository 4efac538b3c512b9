// SPDX-License-Identifier: BSD-3-Clause
// What a loss outside a run is given besides embeddings: views, what a decoder makes of them, weights.
#pragma once

#include <foil/loss.h>

namespace foil {

// Checks LossInput::decoded, views and weights against the needs and z.0, as far as the loss asks for them;
// ends of edges come to the device of z. Throws Error (Exit::usage) naming the tensor, "edges.1", that is
// missing or does not fit, and what is allowed.
void check_views_and_weights(const Needs& needs, LossInput& input);

}  // namespace foil
