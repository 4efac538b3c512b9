// SPDX-License-Identifier: BSD-3-Clause
// Weights by name: what a module holds, and how the tensors of a file come into it. Reading a file is
// core/run/safetensors.h.
#pragma once

#include <foil/error.h>

#include <torch/nn/module.h>

#include <map>
#include <string>
#include <vector>

namespace foil {

// Parameters and buffers of a module under their dotted names. The tensors are the module's own, not copies.
std::map<std::string, at::Tensor> named_tensors(const torch::nn::Module& module);

// Moves parameters and buffers to `device`, those of floating point to `dtype` too: counters and indices stay
// integers, which Module::to would convert.
void move_to(torch::nn::Module& module, at::Device device, at::ScalarType dtype);

// Copies every tensor of `from` into the one of that name in `into`. Names, shapes and dtypes must be the
// same on both sides: else one Error (Exit::data), led by `place`, lists every difference, and nothing is
// written.
void copy_exactly(const std::map<std::string, at::Tensor>& from,
                  const std::map<std::string, at::Tensor>& into, const std::string& place);

// Loads published weights, or those of a checkpoint of foil, into a module, strictly: after the rules below
// the names and shapes must be the same on both sides, else one Error (Exit::data), led by `place`, lists the
// differences, and nothing is written. Floating dtypes are converted.
//  1. A name that the module does not have loses these prefixes, as often as they occur:
//     module. _orig_mod. model. tower. backbone. encoder. base_encoder. encoder_q. online_encoder. student.
//  2. What then starts with one of these and is no name of the module is left out:
//     heads         fc. head. projector. projection_head. prediction_head. predictor. prototypes classifier.
//                   linear.
//     other towers  encoder_k. momentum teacher. target_encoder. backbone_momentum. projection_head_momentum.
//     the rest      queue loss. optimizer. generator. criterion.
//  3. num_batches_tracked, which only counts, may be missing on either side.
// Returns the names in the file that were left out.
std::vector<std::string> load_weights(torch::nn::Module& module,
                                      const std::map<std::string, at::Tensor>& weights,
                                      const std::string& place);

}  // namespace foil
