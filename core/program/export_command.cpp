// SPDX-License-Identifier: BSD-3-Clause
// foil export: the encoder of a checkpoint in a folder that Python loads without foil. Neither data nor
// plugins are opened: the checkpoint and the records beside it say all.
#include "config/dump.h"
#include "program/commands.h"
#include "program/layouts.h"
#include "program/model_card.h"
#include "program/same_run.h"
#include "program/start.h"
#include "run/file.h"
#include "run/json.h"
#include "run/safetensors.h"
#include "run/text.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

namespace foil {
namespace {

namespace fs = std::filesystem;

// The tower that is asked for; empty where there is one. In a checkpoint its encoder is "tower.encoder.", of
// several "tower.NAME.encoder.".
std::string choose_tower(const Checkpoint& checkpoint, const std::string& asked, const std::string& run) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.starts_with("tower.encoder.")) return "";
    const size_t at = name.find(".encoder.");
    if (name.starts_with("tower.") && at != std::string::npos) names.insert(name.substr(6, at - 6));
  }
  if (names.empty()) fail(Exit::data, run, ": its checkpoint holds no encoder.");
  if (names.contains(asked)) return asked;
  const std::vector<std::string> known(names.begin(), names.end());
  if (asked.empty())
    fail(Exit::usage, run, ": has several encoders: name one by --tower.", known_names("towers", "", known));
  fail(Exit::usage, "--tower ", asked, ": no such tower.", known_names("towers", asked, known));
}

std::map<std::string, at::Tensor> encoder_of(const Checkpoint& checkpoint, const std::string& tower) {
  const std::string prefix = tower.empty() ? "tower.encoder." : "tower." + tower + ".encoder.";
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors)
    if (name.starts_with(prefix)) tensors[name.substr(prefix.size())] = tensor;
  return tensors;
}

// The shape of what the tower sees: of its modality, or of one of its kind.
std::vector<int64_t> input_of(const nlohmann::json& inputs, const std::string& tower) {
  if (!inputs.is_object()) return {};
  try {
    for (const auto& [modality, input] : inputs.items()) {
      const bool mine = tower.empty() || modality == tower || input.value("kind", "") == tower;
      if (mine) return input.at("shape").get<std::vector<int64_t>>();
    }
  } catch (const nlohmann::json::exception&) {  // counts as not known
  }
  return {};
}

nlohmann::json json_of(const Node& node) {
  if (node.is_flag()) return node.flag();
  if (node.is_integer()) return node.integer();
  if (node.is_number()) return node.number();
  if (node.is_text()) return node.text();
  nlohmann::json json;
  if (node.is_array()) {
    json = nlohmann::json::array();
    for (const Node& child : node.array()) json.push_back(json_of(child));
  } else if (node.is_table()) {
    json = nlohmann::json::object();
    for (const auto& [key, child] : node.table()) json[key] = json_of(child);
  }
  return json;
}

// A record of the run; null without one.
nlohmann::json record(const std::string& path) {
  const auto text = read_text(path);
  return text ? parse_json(*text, path) : nlohmann::json();
}

nlohmann::json results_record(const std::string& path) {
  nlohmann::json results = record(path);
  if (!results.is_null()) parse_results(results.dump(), path);
  return results;
}

void shorten_paths(Node& node) {
  if (node.is_text() && node.text().starts_with('/')) node.value = fs::path(node.text()).filename().string();
  if (node.is_array()) {
    for (Node& child : node.array()) shorten_paths(child);
  } else if (node.is_table()) {
    for (auto& [key, child] : node.table()) shorten_paths(child);
  }
}

// The experiment without the folders of this machine.
Node without_places(Node experiment) {
  if (Node* run = experiment.find("run")) run->erase("output");
  if (Node* data = experiment.find("data")) data->erase("path");
  experiment.erase("plugins");
  shorten_paths(experiment);
  return experiment;
}

// "quickstart/infonce-seed0".
std::string name_of(const std::string& run) {
  const fs::path path = fs::absolute(run).lexically_normal() / "";  // ends in a slash
  const fs::path folder = path.parent_path();
  return (folder.parent_path().filename() / folder.filename()).string();
}

void write(const std::string& folder, const EncoderRecord& encoder, const nlohmann::json& config,
           const Node& experiment, const std::string& card) {
  std::error_code error, ignored;
  fs::create_directories(folder, error);
  if (error) fail(Exit::failure, folder, ": cannot create the folder: ", error.message());
  try {
    save_tensors(folder + "/model.safetensors", encoder.tensors, {{"format", "pt"}});
    write_atomically(folder + "/config.json", dump_json(config, 2) + "\n");
    write_atomically(folder + "/experiment.toml", dump(experiment, false));
    write_atomically(folder + "/README.md", card);
  } catch (...) {
    fs::remove_all(folder, ignored);
    throw;
  }
}

// The table of a tower's encoder: its own, else the plain keys.
Node encoder_options(const Node& experiment, const std::string& tower) {
  const Node* encoder = experiment.find("encoder");
  Node options = encoder && encoder->is_table() ? *encoder : Node{Node::Table{}, {}, {}};
  if (tower.empty()) return options;
  if (const Node* own = options.find(tower); own && own->is_table()) return Node(*own);
  std::erase_if(options.table(), [](const auto& option) { return option.second.is_table(); });
  return options;
}

}  // namespace

int export_command(const ExportOptions& options) {
  require_run(options.run);
  const std::string folder = options.out.empty() ? options.run + "/export" : options.out;
  std::error_code ignored;
  if (fs::exists(folder, ignored))
    fail(Exit::usage, folder, ": exists already, allowed: a folder that does not.");
  const Node experiment = without_places(read_experiment_record(options.run + "/config.resolved.toml"));
  const Checkpoint checkpoint = find_checkpoint(options.run, options.checkpoint);
  const std::string tower = choose_tower(checkpoint, options.tower, options.run);
  const nlohmann::json inputs = checkpoint.said("inputs");
  const EncoderRecord encoder{encoder_of(checkpoint, tower), encoder_options(experiment, tower),
                              input_of(inputs, tower)};
  const Layout layout = layout_of(encoder, options.layout);
  const std::string card =
      model_card({name_of(options.run), experiment, encoder.options, checkpoint.step, layout, inputs,
                  results_record(options.run + "/results.json"), record(options.run + "/data.json"),
                  record(options.run + "/env.json")});

  nlohmann::json config = layout.config;
  config.update({{"layout", layout.name},
                 {"encoder", json_of(encoder.options)},
                 {"inputs", inputs},
                 {"step", checkpoint.step}});
  if (const Node* augment = experiment.find("augment")) config["augment"] = json_of(*augment);
  write(folder, encoder, config, experiment, card);
  for (const char* name : {"model.safetensors", "config.json", "experiment.toml", "README.md"})
    std::printf("%s\n", printable((fs::path(folder) / name).lexically_normal().string()).c_str());
  return 0;
}

}  // namespace foil
