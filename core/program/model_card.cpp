// SPDX-License-Identifier: BSD-3-Clause
// Whatever comes from a file is escaped: a card is shown as a page.
#include "program/model_card.h"

#include "config/dump.h"
#include "evaluate/measure.h"
#include "run/json.h"
#include "run/text.h"
#include "study/table_text.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>

namespace foil {
namespace {

using Lines = std::vector<std::vector<std::string>>;

std::string shown_text(const std::string& text) { return plain_markdown(one_line(text)); }

std::string text_in(const nlohmann::json& record, const std::string& key) {
  if (!record.is_object() || !record.contains(key)) return "";
  const nlohmann::json& value = record[key];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// The tables of a key: one, or those of a list.
std::vector<const Node*> tables_of(const Node& experiment, const std::string& key) {
  const Node* node = experiment.find(key);
  std::vector<const Node*> tables;
  if (node && node->is_table()) tables.push_back(node);
  if (node && node->is_array()) {
    for (const Node& child : node->array())
      if (child.is_table()) tables.push_back(&child);
  }
  return tables;
}

// "dcl (temperature = 0.1, weight = 1.0)".
std::string component_text(const Node& table) {
  const Node* name = table.find("name");
  std::string options;
  for (const auto& [key, value] : table.table())
    if (key != "name") options += (options.empty() ? "" : ", ") + key + " = " + to_toml(value);
  return (name && name->is_text() ? name->text() : "?") + (options.empty() ? "" : " (" + options + ")");
}

std::string components_text(const Node& experiment, const std::string& key) {
  std::string text;
  for (const Node* table : tables_of(experiment, key))
    text += (text.empty() ? "" : " + ") + component_text(*table);
  return text;
}

std::string value_at(const Node& experiment, const std::string& key) {
  const Node* node = at_path(experiment, key);
  if (!node) return "";
  return node->is_text() ? node->text() : to_toml(*node);
}

std::string data_text(const CardFacts& facts) {
  std::string text = components_text(facts.experiment, "data");
  for (const auto& [key, unit] :
       {std::pair("train", " training samples"), {"test", " test samples"}, {"identity", ""}})
    if (const std::string count = text_in(facts.data, key); !count.empty()) text += ", " + count + unit;
  return text;
}

std::string facts_part(const CardFacts& facts) {
  const std::string length = value_at(facts.experiment, "run.steps").empty()
                                 ? value_at(facts.experiment, "run.epochs") + " epochs"
                                 : value_at(facts.experiment, "run.steps") + " steps";
  const std::string version = text_in(facts.environment, "foil"),
                    commit = text_in(facts.environment, "commit");
  const Lines all = {{"", ""},
                     {"loss", components_text(facts.experiment, "loss")},
                     {"data", data_text(facts)},
                     {"encoder", component_text(facts.encoder)},
                     {"steps", fmt::format("{} of {}, {} samples each", facts.step, length,
                                           value_at(facts.experiment, "data.batch_size"))},
                     {"optimizer", components_text(facts.experiment, "optimizer")},
                     {"schedule", components_text(facts.experiment, "schedule")},
                     {"seed", value_at(facts.experiment, "run.seed")},
                     {"precision", value_at(facts.experiment, "run.precision")},
                     {"made by", version.empty() ? "" : "foil " + version + ", commit " + commit},
                     {"on", text_in(facts.environment, "processor")}};
  Lines lines;
  for (const auto& line : all)
    if (lines.empty() || !line[1].empty()) lines.push_back({line[0], shown_text(line[1])});
  return markdown_of(lines);
}

struct Number {
  Measure measure;
  std::string name, value, protocol;
};

// The headline numbers first, in the order of their columns.
std::vector<Number> numbers_of(const nlohmann::json& results) {
  std::vector<Number> numbers;
  for (const auto& [key, entry] : results.at("measured").get_ref<const nlohmann::json::object_t&>()) {
    if (!entry.is_object() || !entry.contains("value") || !entry["value"].is_number()) continue;
    const std::string metric = metric_of(key, entry);
    const Measure measure = measure_of(entry).value_or(measure_of_old(metric));
    numbers.push_back({measure, metric, value_text(measure, entry["value"]), entry.value("protocol", "")});
  }
  std::stable_sort(numbers.begin(), numbers.end(), [](const Number& a, const Number& b) {
    if (!a.measure.headline || !b.measure.headline) return a.measure.headline && !b.measure.headline;
    return a.measure.column < b.measure.column;
  });
  return numbers;
}

std::string results_part(const CardFacts& facts) {
  if (facts.results.is_null()) return "The run left no results.\n";
  try {
    const int64_t step = facts.results.value("step", int64_t{0});
    if (step != facts.step)
      return fmt::format("The results of the run are of step {}, and so none of these weights.\n", step);
    Lines lines = {{"measure", "value", "protocol"}};
    for (const Number& number : numbers_of(facts.results))
      lines.push_back({shown_text(heading(number.measure)), number.value, shown_text(number.protocol)});
    return "Of the frozen encoder, by the evaluator of foil; numbers of different protocols do not "
           "compare.\n\n" +
           markdown_of(lines);
  } catch (const nlohmann::json::exception& error) {
    fail(Exit::data, facts.name, "/results.json: not the results of a run: ", complaint(error));
  }
}

std::string input_part(const CardFacts& facts) {
  std::string text;
  if (facts.inputs.is_object()) {
    for (const auto& [modality, input] : facts.inputs.items()) {
      text += fmt::format("- {}: {} of shape {}", shown_text(modality), shown_text(text_in(input, "kind")),
                          shown_text(text_in(input, "shape")));
      const std::string preparation = text_in(input, "preparation");
      text += preparation.empty() ? "\n" : ", prepared by " + shown_text(preparation) + "\n";
    }
  }
  std::string augmentations;
  for (const Node* table : tables_of(facts.experiment, "augment"))
    augmentations += "- " + shown_text(component_text(*table)) + "\n";
  text += "\nImages are floats in [0, 1]";
  return text + (augmentations.empty()
                     ? ".\n"
                     : ", behind what of these augmentations of the training draws nothing, such as a "
                       "normalisation:\n\n" +
                           augmentations);
}

}  // namespace

std::string model_card(const CardFacts& facts) {
  std::string card = "---\n# license: yours to choose; that of the data may bind it\n";
  if (facts.layout.name == "timm") card += "library_name: timm\n";
  card += "tags:\n- feature-extraction\n- contrastive-learning\n- foil\n---\n";
  card += "# " + shown_text(facts.name) + "\n\nAn encoder without a head, in the layout `" +
          facts.layout.name + "`. `experiment.toml` holds every value of the experiment that made it.\n\n";
  card += facts_part(facts) + "\n## Results\n" + results_part(facts);
  card += "\n## How to load it\n```python\n" + facts.layout.python + "```\n";
  card += "\n## Input\n" + input_part(facts);
  return card + "\n## Licence\nTo be said by who publishes these weights.\n";
}

}  // namespace foil
