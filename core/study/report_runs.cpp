// SPDX-License-Identifier: BSD-3-Clause
// The parts of a report that say what was run: what was asked, pictures that runs left, configurations,
// hardware and versions.
#include "run/json.h"
#include "study/factors.h"
#include "study/page.h"
#include "study/report_parts.h"
#include "study/svg.h"
#include "study/trial_results.h"

#include <foil/error.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace foil {
namespace {

std::string joined(const std::set<std::string>& texts, const std::string& between) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : between) + text;
  return out;
}

void add_environment(Environment& environment, const std::string& path) {
  const auto text = read_text(path);
  if (!text) return;
  const auto json = parse_json(*text, path);
  if (!json.is_object()) fail(Exit::data, path, ": not a record of an environment");
  const auto flat = json.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    std::string key = pointer.empty() ? "" : pointer.substr(1);
    std::replace(key.begin(), key.end(), '/', '.');
    if (!key.empty())
      environment.values[key].insert(value.is_string() ? value.get<std::string>() : value.dump());
  }
}

// "AMD EPYC, cores: 2, threads: 1; NVIDIA H200".
std::string hardware(const Environment& environment) {
  std::string text = environment.text("processor");
  for (const char* count : {"cores", "threads"}) {
    if (const std::string n = environment.text(count); !n.empty())
      text += (text.empty() ? "" : ", ") + std::string(count) + ": " + n;
  }
  for (const auto& [key, names] : environment.values)
    if (key.starts_with("gpus.")) text += "; " + joined(names, " | ");
  return text;
}

// An SVG that a run left, as an image: what is written in it cannot run there. Empty where there is none.
std::string image(const std::string& path, const std::string& caption) {
  const auto svg = read_text(path);
  if (!svg) return "";
  std::string address = "data:image/svg+xml,";
  for (const char c : *svg) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == ' ' || c == '.' || c == '-' || c == '=' || c == '/' || c == ':';
    address += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return "<figure class=\"box\" tabindex=\"0\"><img alt=\"" + escape_markup(caption) + "\" src=\"" + address +
         "\"/>" + element("figcaption", caption) + "</figure>\n";
}

std::string value_of(const Row& row, const std::string& key) {
  const auto at = row.config.find(key);
  return at == row.config.end() ? "(not set)" : at->second;
}

// The one value of a key that all variants have; empty where they differ or do not set it.
std::string shared_value(const Comparison& comparison, const std::string& key) {
  std::set<std::string> values;
  for (const auto& row : comparison.rows)
    if (!row.config.empty()) values.insert(value_of(row, key));
  if (values.size() != 1 || *values.begin() == "(not set)") return "";
  const std::string& value = *values.begin();
  return value.starts_with('"') ? value.substr(1, value.size() - 2) : value;
}

// The commands that made the studies, or one that trains the first run again.
std::string again(const Comparison& comparison) {
  std::string text;
  for (const auto& command : comparison.labels.commands) text += (text.empty() ? "" : "\n") + command;
  for (const auto& row : comparison.rows) {
    for (const auto& [seed, folder] : row.folders) {
      const std::string config = folder + "/config.resolved.toml";
      if (text.empty() && !row.baseline && std::filesystem::exists(config))
        text = "foil train " + config + " --set run.name=again";
    }
  }
  return text;
}

std::string swept_text(const Swept& swept) {
  std::string text;
  for (const Factor& factor : swept.factors) {
    constexpr size_t most = 12;
    std::string levels;
    for (size_t i = 0; i < std::min(most, factor.levels.size()); ++i)
      levels += (levels.empty() ? "" : ", ") + factor.levels[i];
    if (factor.levels.size() > most) levels += fmt::format(" and {} more", factor.levels.size() - most);
    text += (text.empty() ? "" : "\n") + factor.key + ": " + levels;
  }
  return text;
}

}  // namespace

Environment::Environment(const Comparison& comparison) {
  for (const auto& row : comparison.rows) {
    for (const auto& [seed, folder] : row.folders) {
      try {
        add_environment(*this, folder + "/env.json");
      } catch (const Error& error) {
        damaged.push_back(error.what());
      }
    }
  }
}

std::string Environment::text(const std::string& key) const {
  const auto at = values.find(key);
  return at == values.end() ? "" : joined(at->second, " | ");
}

std::string asked_part(const Studied& subject, const Environment& environment) {
  const Comparison& comparison = subject.comparison;
  std::set<std::string> references, protocols, swept;
  std::set<int64_t> seeds;
  int64_t variants = 0, trials = 0;
  for (const auto& table : subject.tables) {
    if (!table.reference.empty()) references.insert(table.reference);
    if (!table.protocol.empty()) protocols.insert(table.protocol);
    if (const std::string text = swept_text(swept_of(comparison, table)); !text.empty()) swept.insert(text);
  }
  for (const auto& row : comparison.rows) {
    if (row.baseline) continue;
    ++variants;
    trials += std::ssize(row.folders);
    for (const auto& [seed, folder] : row.folders) seeds.insert(seed);
  }
  std::vector<std::pair<std::string, std::string>> facts = {
      {"variants", fmt::format("{} with {} finished trials", variants, trials)},
      {"swept", joined(swept, "\n")},
      {"reference", joined(references, " | ")},
      {"seeds", ""}};
  for (const int64_t seed : seeds)
    facts.back().second += (facts.back().second.empty() ? "" : ", ") + std::to_string(seed);
  for (const auto& [name, key] : {std::pair("data", "data.name"),
                                  {"encoder", "encoder.name"},
                                  {"epochs", "run.epochs"},
                                  {"steps", "run.steps"},
                                  {"batch", "data.batch_size"}})
    facts.emplace_back(name, shared_value(comparison, key));
  facts.insert(facts.end(), {{"protocol", joined(protocols, "\n")},
                             {"commit", environment.text("commit")},
                             {"hardware", hardware(environment)},
                             {"run again", again(comparison)}});
  std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
  return "<h2>What was asked</h2>\n" + html_facts(facts, "what was asked");
}

// The features of the first seed of every variant that left such a picture.
std::string features_part(const Studied& subject) {
  std::string out;
  for (const auto& row : subject.comparison.rows) {
    for (const auto& [seed, folder] : row.folders) {
      const std::string one = image(folder + "/features.svg", fmt::format("{}, seed {}", row.name, seed));
      out += one;
      if (!one.empty()) break;
    }
  }
  return out.empty() ? out : "<h2>Features</h2>\n<div class=\"figures\">\n" + out + "</div>\n";
}

std::string config_part(const Studied& subject) {
  std::vector<const Row*> rows;
  std::set<std::string> keys;
  for (const auto& row : subject.comparison.rows) {
    if (row.config.empty()) continue;
    rows.push_back(&row);
    for (const auto& [key, value] : row.config) keys.insert(key);
  }
  if (rows.empty()) return "";
  HtmlLines differences = {{{"differs in"}}};
  for (const auto* row : rows) differences[0].push_back({row->name});
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& key : keys) {
    const std::string first = value_of(*rows[0], key);
    all.emplace_back(key, first);
    const bool equal =
        std::all_of(rows.begin(), rows.end(), [&](const Row* row) { return value_of(*row, key) == first; });
    if (equal || key == "run.seed") continue;  // a variant's config is that of one of its seeds
    auto& line = differences.emplace_back();
    line.push_back({key});
    for (const auto* row : rows) line.push_back({value_of(*row, key)});
  }
  return "<h2>Configuration</h2>\n" +
         (differences.size() == 1 ? "<p>The variants' configurations are equal.</p>\n"
                                  : html_table(differences, "differing keys")) +
         html_details("All of " + rows[0]->name, html_facts(all, "configuration"));
}

std::string environment_part(const Environment& environment) {
  if (environment.values.empty() && environment.damaged.empty()) return "";
  std::string out = "<h2>Hardware and versions</h2>\n";
  for (const auto& text : environment.damaged) out += element("p", text, "failed") + "\n";
  std::vector<std::pair<std::string, std::string>> facts;
  for (const auto& [key, distinct] : environment.values) facts.emplace_back(key, joined(distinct, " | "));
  return out + html_details("All of env.json", html_facts(facts, "hardware and versions"));
}

}  // namespace foil
