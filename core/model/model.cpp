// SPDX-License-Identifier: BSD-3-Clause
// Views handed out to towers and their embeddings collected; what is done to every tower.
#include "model/model.h"

#include "model/momentum.h"

namespace foil {

Model::Model(std::vector<Part> parts, std::map<std::string, size_t> part_of)
    : parts_(std::move(parts)), part_of_(std::move(part_of)) {}

Model::Model(std::shared_ptr<Tower> only) : parts_{{"", std::move(only)}} {}

size_t Model::part_of(const std::string& modality) const {
  if (part_of_.empty()) return 0;
  const auto found = part_of_.find(modality);
  if (found == part_of_.end()) fail(Exit::failure, "no tower takes the modality '", modality, "'.");
  return found->second;
}

Tower& Model::tower_of(const std::string& modality) const { return *parts_[part_of(modality)].tower; }

Tower::Output Model::forward(const Views& views, bool bf16_autocast) {
  if (parts_.size() == 1) return parts_[0].tower->forward(views, bf16_autocast);
  Tower::Output out{std::vector<Tensor>(views.size()), std::vector<Tensor>(views.size()), {}};
  for (size_t i = 0; i < parts_.size(); ++i) {
    Views mine;
    std::vector<size_t> places;
    for (size_t v = 0; v < views.size(); ++v) {
      if (part_of(views[v].modality) != i) continue;
      mine.push_back(views[v]);
      places.push_back(v);
    }
    if (mine.empty()) continue;
    const Tower::Output part = parts_[i].tower->forward(mine, bf16_autocast);
    if (!part.p.empty()) out.p.resize(views.size());
    if (!part.decoded.empty()) out.decoded.resize(views.size());
    for (size_t k = 0; k < places.size(); ++k) {
      out.h[places[k]] = part.h[k];
      out.z[places[k]] = part.z[k];
      if (!part.p.empty()) out.p[places[k]] = part.p[k];
      if (!part.decoded.empty()) out.decoded[places[k]] = part.decoded[k];
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::shared_ptr<Tower>>> Model::named(const std::string& prefix) const {
  std::vector<std::pair<std::string, std::shared_ptr<Tower>>> all;
  for (const Part& part : parts_)
    all.emplace_back(part.name.empty() ? prefix : prefix + part.name + ".", part.tower);
  return all;
}

std::map<std::string, Tensor> Model::parameters() const {
  std::map<std::string, Tensor> all;
  for (const auto& [prefix, tower] : named(""))
    for (const auto& parameter : tower->named_parameters()) all[prefix + parameter.key()] = parameter.value();
  return all;
}

void Model::train(bool on) {
  for (const Part& part : parts_) part.tower->train(on);
}

void Model::freeze_last_layers(int64_t epoch) {
  for (const Part& part : parts_)
    if (epoch < part.tower->frozen_epochs()) part.tower->freeze_last_layer();
}

void copy_model(const Model& online, Model& target) {
  for (size_t i = 0; i < online.parts().size(); ++i)
    copy_tower(*online.parts()[i].tower, *target.parts()[i].tower);
}

void follow(const Model& online, Model& target, double m) {
  for (size_t i = 0; i < online.parts().size(); ++i)
    follow(*online.parts()[i].tower, *target.parts()[i].tower, m);
}

}  // namespace foil
