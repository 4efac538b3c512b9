// SPDX-License-Identifier: BSD-3-Clause
// Host: a loss by name in a program of your own. What `foil score` and the Python library stand on too. Not
// for plugins: inside a run the program is the host.
//
//   foil::load_plugins();
//   const auto loss = foil::make_loss("infonce", "temperature = 0.2");
//   const foil::LossInput input = foil::make_input(*loss, {z1, z2});
//   loss->setup(input.sizes);
//   (*loss)(input).backward();
#pragma once

#include <foil/component.h>

#include <map>
#include <string>
#include <vector>

namespace foil {

// Loads the plugins of `folders`, of FOIL_PLUGIN_PATH (colon separated) and of this foil (beside libfoil.so),
// in this order, for the rest of the process; what is loaded already is left alone. A library that is refused
// does not stop the others; returns why, a line each.
FOIL_API std::vector<std::string> load_plugins(const std::vector<std::string>& folders = {});

// A new loss of that name, on the CPU in float32, before setup(). `options` is TOML, "temperature =
// 0.2\nweighting = \"none\"". Throws Error (Exit::usage) for an unknown name or option or a value out of
// range, naming the nearest and what is allowed.
FOIL_API std::shared_ptr<Loss> make_loss(const std::string& name, const std::string& options = "");

// loss.setup(sizes). Throws Error (Exit::usage), with the sizes, where LibTorch cannot make what the loss
// registers.
FOIL_API void set_up(Loss& loss, const Sizes& sizes);

// Tensors of a LossInput by name, all on the device of z, floats in the type of z (loss.needs() says which a
// loss needs; `foil describe` too):
//   z.0, z.1, ...            [B, D]     projections of each view
//   h.0, h.1, ...            [B, F]     features before the head
//   p.0, p.1, ...            [B, D]     the predictor on each view
//   target.0, target.1, ...  [B, D]     z of the momentum encoder: of all views, or of the first V'
//   queue.0, ...             [K, D]     in the order of Needs::queues: earlier rows of z or target
//   queue_label.0, ...       int64 [K]  of the queue's rows, -1: has none
//   queue_index.0, ...       int64 [K]
//   x.0, x.1, ...            [nodes, F] the views as the encoders saw them, of a graph dense or in CSR layout
//   edges.0, ...             int64 [2, E], edge_weight.0, ... [E], params.0, ... [nodes, P]  of these views
//   decoded.0, ...           [B, ...]   what the encoder's decoder gives
//   weight.NAME                         the parameter NAME of the tower
//   label                    int64 [B]  -1: has none
//   index                    int64 [B]  rows of the data set; needed by a loss that keeps state per sample
using NamedTensors = std::map<std::string, Tensor>;

// The input of one rank on its own at step 0. z, p, target and queue are scaled to unit norm unless
// loss.needs().raw_z, as in a run; half precision becomes float32; gradient flows to z, h, p, decoded and
// weights. What the loss does not need is not there. LossInput::sizes is `sizes` of the experiment, completed
// from the tensors where it is 0: for a loss with state, give dataset_size and classes of the data; unless
// given they are what the largest index and label ask for, 2^24 at most. Throws Error (Exit::usage) naming
// the tensor, as "target.1", that is missing, that no loss has a use for, or whose shape, type or range does
// not fit, and what is allowed.
FOIL_API LossInput input_from(const Loss& loss, const NamedTensors& tensors, const Sizes& sizes = {});
// The same with z in the order of views, and `more` by name.
FOIL_API LossInput make_input(const Loss& loss, const std::vector<Tensor>& z, NamedTensors more = {},
                              const Sizes& sizes = {});

}  // namespace foil
