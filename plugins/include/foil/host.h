// SPDX-License-Identifier: BSD-3-Clause
// Host: a loss by name in a program of your own. What `foil score` and the Python library stand on too. Not for plugins: inside a
// run the program is the host.
//
//   foil::load_plugins();
//   const auto loss = foil::make_loss("infonce", "temperature = 0.2");
//   const foil::LossInput input = foil::make_input(*loss, {z1, z2});
//   loss->setup(input.sizes);
//   loss->forward(input).backward();
#pragma once

#include <foil/component.h>

#include <string>
#include <vector>

namespace foil {

// Loads the plugins of `folders`, of FOIL_PLUGIN_PATH (colon separated) and of this foil (beside libfoil.so), in this order, for
// the rest of the process; what is loaded already is left alone. A library that is refused does not stop the others; returns why, a
// line each.
FOIL_API std::vector<std::string> load_plugins(const std::vector<std::string>& folders = {});

// A new loss of that name, on the CPU in float32, before setup(). `options` is TOML, "temperature = 0.2\nweighting = \"none\"".
// Throws Error (Exit::usage) for an unknown name or option or a value out of range, naming the nearest and what is allowed.
FOIL_API std::shared_ptr<Loss> make_loss(const std::string& name, const std::string& options = "");

// The input of one rank on its own at step 0: z, V views [B, D], scaled to unit norm (with gradient) unless loss.needs().raw_z, as
// in a run. `label` and `index`: int64 [B] each; undefined = none, and 0 ... B-1. `sizes` is what the tensors say: for a loss with
// state, set dataset_size and classes to those of the data. Throws Error (Exit::usage) when shapes or types do not fit, or the loss
// needs what is not there.
FOIL_API LossInput make_input(const Loss& loss, std::vector<Tensor> z, Tensor label = {}, Tensor index = {});

}  // namespace foil
