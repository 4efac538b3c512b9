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

// What a loss may need besides z (loss.needs() says what; `foil describe` too). All on the device of z;
// floats in the type of z.
struct Given {
  Tensor label = {};  // int64 [B], -1: has none
  Tensor index = {};  // int64 [B], rows of the data set; needed by a loss that keeps state per sample
  std::vector<Tensor> h = {};  // V x [B, F], features before the head
  std::vector<Tensor> p = {};  // V x [B, D], the predictor on each z
  std::vector<Tensor> target =
      {};  // V' x [B, D], z of the momentum encoder: of all views, or of the first V' where V is free
  std::vector<Tensor> queue =
      {};  // [K, D] each, in the order of Needs::queues: K earlier rows of z or target, all filled
  std::vector<Tensor> queue_label = {};  // int64 [K] each, of the queues' rows, -1: has none
  std::vector<Tensor> queue_index = {};  // int64 [K] each
  Sizes sizes = {};  // of the experiment, where it is known: what is 0 is read off the tensors
};

// The input of one rank on its own at step 0: z, V views [B, D]. z, p, target and queue are scaled to unit
// norm unless loss.needs().raw_z, as in a run; half precision becomes float32; gradient flows to z, h and p.
// What the loss does not need is ignored and not there. LossInput::sizes is `given.sizes`, completed from the
// tensors: for a loss with state, give dataset_size and classes of the data; unless given they are what the
// largest index and label ask for, 2^24 at most. Throws Error (Exit::usage) naming the tensor, as "target.1",
// that is missing or whose shape, type or range does not fit, and what is allowed.
FOIL_API LossInput make_input(const Loss& loss, std::vector<Tensor> z, const Given& given = {});

}  // namespace foil
