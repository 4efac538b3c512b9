// SPDX-License-Identifier: BSD-3-Clause
// Golden vectors: what a mapping from a published implementation's saved case to ours may see, and how it
// registers. A mapping knows the metadata `loss` and `params` and the inputs; never a file's name, size or
// expected values.
#pragma once

#include "model/queue.h"

#include <foil/foil.h>

#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace foil::golden {

using Tensors = std::map<std::string, Tensor>;

struct Case {
  nlohmann::json params;
  Tensors inputs;  // every in.*, step<i>.in.* and *.before of the file
};

struct Mapping {
  std::string component;                    // the loss (encoder, augmentation) that is checked, for --require
  std::function<Tensors(const Case&)> run;  // everything the file may expect, by the file's own names
  std::map<std::string, std::string> left_out = {};  // a name -> the reason why it is not compared
  // Where the file's own number is no better than this, or has in it what ours has not; 1e-9 without. float32
  // files have one of their own.
  std::function<double(const std::string& name, const nlohmann::json& params)> tolerance = {};
};

// All mappings by metadata `loss`.
std::map<std::string, Mapping>& mappings();
struct Register {
  Register(const std::string& loss, Mapping mapping) { mappings().emplace(loss, std::move(mapping)); }
};

// The registered loss, encoder or augmentation `name` with these options (a JSON object; unknown keys and bad
// values throw).
std::shared_ptr<Loss> make_loss(const std::string& name, const nlohmann::json& options);
std::shared_ptr<Encoder> make_encoder(const std::string& name, const nlohmann::json& options);
std::shared_ptr<Augmentation> make_augmentation(const std::string& name, const nlohmann::json& options);

// A case of several steps: `run` gets each step's inputs without their prefix "step<i>." and what it returns
// goes back under it.
Tensors each_step(const Case& test, const std::function<Tensors(const Case& step, int64_t i)>& run);

// What one rank gives on raw embeddings z (V x [N, D]), normalised as the host does, and the state of the
// loss moved on. `prepare` sets what else the loss sees: labels, indices, the epoch.
struct Result {
  Tensor loss;
  std::vector<Tensor> gradients;  // with respect to the raw z
  std::map<std::string, Tensor> reports;
  std::vector<Tensor> prediction_gradients;  // with respect to the raw p
  Tensors parameter_gradients;               // of the loss's own
  LossInput input;
};
Result run(Loss& loss, const std::vector<Tensor>& raw, const std::function<void(LossInput&)>& prepare = {});

// The same with a predictor, targets of the momentum tower, queues, and draws instead of those of
// LossInput::uniform.
struct Step {
  std::vector<Tensor> z, p = {}, target = {};  // raw
  std::vector<std::shared_ptr<QueueStore>> queues = {};
  Tensors draws = {};
};
Result run_step(Loss& loss, const Step& step, const std::function<void(LossInput&)>& prepare = {});

// A full queue whose next row goes to `pointer`.
void set_queue(QueueStore& queue, const Tensor& data, int64_t pointer);
int64_t queue_pointer(const QueueStore& queue);

}  // namespace foil::golden
