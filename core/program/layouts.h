// SPDX-License-Identifier: BSD-3-Clause
// Layouts: the names under which the tensors of an encoder leave foil, and how Python makes a module of them.
// A published layout is recognised by names and shapes, not by the encoder: one of a plugin may have it too.
#pragma once

#include "config/node.h"

#include <nlohmann/json.hpp>
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace foil {

// The encoder of a checkpoint.
struct EncoderRecord {
  std::map<std::string, at::Tensor> tensors;  // by their names in the encoder
  Node options;                               // its table of the experiment
  std::vector<int64_t> input =
      {};  // the shape of a sample, of images [C, H, W]; empty where the checkpoint does not say
};

struct Layout {
  std::string name;
  nlohmann::json config;  // what config.json says for it: "architecture", "model_args"
  std::string python;     // lines that make `model` of model.safetensors and config.json
};

// The published layout that fits, else foil's own names ("safetensors"); with `asked` the one of that name.
// Throws Error (Exit::usage) for another name, and for a layout that does not fit: why, and which do.
Layout layout_of(const EncoderRecord& encoder, const std::string& asked = "");

}  // namespace foil
