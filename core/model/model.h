// SPDX-License-Identifier: BSD-3-Clause
// Model: the towers of an experiment, and which of them takes the views of which modality. A tower is one
// encoder and its heads; several modalities may share one.
#pragma once

#include "model/tower.h"

#include <map>

namespace foil {

class Model {
 public:
  struct Part {
    std::string name;  // of its table or modality: "text"; empty where there is one tower
    std::shared_ptr<Tower> tower;
  };
  // `part_of`: by modality, an index into `parts`.
  Model(std::vector<Part> parts, std::map<std::string, size_t> part_of);
  // One tower for every view.
  explicit Model(std::shared_ptr<Tower> only);

  // Each view through its tower, the results in the order of the views (Tower::forward). Throws Error
  // (Exit::failure) for a modality that no tower takes.
  Tower::Output forward(const Views& views, bool bf16_autocast = false);

  const std::vector<Part>& parts() const { return parts_; }
  Tower& tower_of(const std::string& modality) const;
  // The towers, each with the prefix of its tensors' names in a checkpoint: "tower." of one, else
  // "tower.text."
  std::vector<std::pair<std::string, std::shared_ptr<Tower>>> named(const std::string& prefix) const;

  // The parameters of the towers by name: "encoder.conv1.weight" of one tower, else
  // "text.encoder.conv1.weight".
  std::map<std::string, Tensor> parameters() const;

  // In training or in evaluation mode.
  void train(bool on = true);
  void eval() { train(false); }
  // Tower::freeze_last_layer of the towers whose head does not learn yet in this epoch.
  void freeze_last_layers(int64_t epoch);

 private:
  size_t part_of(const std::string& modality) const;
  std::vector<Part> parts_;
  std::map<std::string, size_t> part_of_;  // empty: there is one
};

// Before the first step: every parameter and buffer of `target` becomes a copy of that of `online`; it learns
// no more by gradients. Both have the same parts.
void copy_model(const Model& online, Model& target);
// follow() of momentum.h, tower by tower.
void follow(const Model& online, Model& target, double m);

}  // namespace foil
