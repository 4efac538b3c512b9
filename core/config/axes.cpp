// SPDX-License-Identifier: BSD-3-Clause
// Reading the lists of a [sweep], telling equal values, and what the command line leaves of them.
#include "config/axes.h"

#include "config/allowed.h"
#include "config/dump.h"
#include "config/override.h"
#include "config/reader.h"

#include <foil/error.h>
#include <foil/random.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iomanip>
#include <map>
#include <set>
#include <sstream>

namespace foil {
namespace {

using Lists = std::vector<std::pair<std::string, const Node*>>;  // a swept key and its values

const char* const kZip =
    "zip = { \"loss.name\" = [\"infonce\", \"dcl\"], \"loss.temperature\" = [0.1, 0.5] } is two variants";

// The keys and lists of a grid or zip table: "loss.temperature" = [...], or the same as nested tables.
void collect(const Node& table, const std::string& prefix, const std::string& shown_as, Lists& out) {
  for (const auto& [key, value] : table.table()) {
    const std::string full = prefix.empty() ? key : prefix + "." + key;
    if (value.is_table()) {
      collect(value, full, shown_as, out);
    } else if (!value.is_array() || value.array().empty()) {
      fail(Exit::usage, value.origin.text(), ": ", shown_as, ".", full, " = ", shown(value),
           ", allowed: a list of one or more values.");
    } else if (full == "run.seed") {
      fail(Exit::usage, value.key_origin.text(), ": ", shown_as, ".", full,
           ": seeds are listed in sweep.seeds.");
    } else if (full == "run.name" || full == "run.output") {
      fail(Exit::usage, value.key_origin.text(), ": ", shown_as, ".", full,
           ": the trials of a study lie in one folder.");
    } else {
      out.emplace_back(full, &value);
    }
  }
}

Lists lists_of(const Node* table, const std::string& shown_as) {
  Lists out;
  if (!table) return out;
  TableReader check(table, shown_as);  // refuses what is no table
  collect(*table, "", shown_as, out);
  return out;
}

// A value as text, the same for what an option reads the same: 1 and 1.0, tables whatever the order of their
// keys.
std::string plain_text(const Node& value) {
  constexpr double kExact = 0x1p53;
  if (value.is_number() && std::abs(value.number()) < kExact)
    return shortest(value.number() + 0.0);  // -0 is 0
  std::string text;
  if (value.is_array()) {
    for (const Node& element : value.array()) text += plain_text(element) + ",";
    return "[" + text + "]";
  }
  if (value.is_table()) {
    std::map<std::string, std::string> sorted;
    for (const auto& [key, child] : value.table()) sorted[key] = plain_text(child);
    for (const auto& [key, child] : sorted) text += to_toml({key, {}, {}}) + "=" + child + ",";
    return "{" + text + "}";
  }
  return to_toml(value);
}

std::string row_text(const Settings& row) {
  std::string text;
  for (const auto& [key, value] : row) text += key + "=" + plain_text(*value) + "\n";
  return text;
}

void refuse_duplicates(const Axis& axis, const std::string& name) {
  std::set<std::string> seen;
  for (const Settings& row : axis.rows) {
    if (!seen.insert(row_text(row)).second)
      fail(Exit::usage, axis.origin.text(), ": ", name, " lists a value twice.");
  }
}

// Each key is swept in one way.
void refuse_swept_twice(const Lists& lists, const std::string& name, const std::vector<Axis>& others) {
  for (const auto& [key, list] : lists) {
    for (const Axis& other : others) {
      const std::vector<std::string> keys = keys_of(other);
      if (std::find(keys.begin(), keys.end(), key) != keys.end())
        fail(Exit::usage, list->key_origin.text(), ": ", name, ".", key, " is swept elsewhere too.");
    }
  }
}

Axis zip_axis(const Lists& zip, const Lists& grid) {
  const size_t length = zip[0].second->array().size();
  Axis axis{std::vector<Settings>(length), zip[0].second->origin};
  for (const auto& [key, list] : zip) {
    const bool in_grid =
        std::any_of(grid.begin(), grid.end(), [&](const auto& entry) { return entry.first == key; });
    if (in_grid) fail(Exit::usage, list->key_origin.text(), ": sweep.zip.", key, " is in sweep.grid too.");
    const size_t size = list->array().size();
    if (size != length) {
      fail(Exit::usage, list->origin.text(), ": sweep.zip.", key, " has ", size,
           size == 1 ? " value" : " values", " but sweep.zip.", zip[0].first, " has ", length,
           "; lists in zip have equal lengths: ", kZip, ".");
    }
    for (size_t r = 0; r < length; ++r) axis.rows[r].push_back({key, &list->array()[r]});
  }
  refuse_duplicates(axis, "sweep.zip");
  return axis;
}

Axis ablate_axis(const Lists& lists, const Node& root) {
  Axis axis{{{}}, lists[0].second->origin, /*around_base=*/true};
  for (const auto& [key, list] : lists) {
    const Node* base = at_path(root, key);
    for (const Node& value : list->array())
      if (!base || plain_text(*base) != plain_text(value)) axis.rows.push_back({{key, &value}});
  }
  refuse_duplicates(axis, "sweep.ablate");
  return axis;
}

// ---- random = { n = 20, seed = 0, "loss.temperature" = { low = 0.01, high = 1, log = true }, ... }

// What one key is drawn from: a list, or an interval.
struct Source {
  std::string key;
  const Node* list = nullptr;
  double low = 0, high = 0;
  bool log = false, whole = false;
  Origin origin = {};
};

Source interval_of(const std::string& key, const Node& table) {
  Source source{key};
  source.origin = table.origin;
  const std::string name = "sweep.random." + key;
  TableReader reader(&table, name);
  reader.number("low", source.low, "");
  reader.number("high", source.high, "");
  reader.flag("log", source.log, "");
  reader.finish();
  const Node *low = table.find("low"), *high = table.find("high");
  if (!high || source.low >= source.high)
    fail(Exit::usage, table.origin.text(), ": ", name, " = ", shown(table), ", allowed: low < high.");
  if (source.log && source.low <= 0)
    fail(Exit::usage, low->origin.text(), ": ", name, ".low = ", shown(*low), ", allowed: above 0 with log.");
  source.whole = low->is_integer() && high->is_integer();
  return source;
}

void collect_sources(const Node& table, const std::string& prefix, std::vector<Source>& out) {
  for (const auto& [key, value] : table.table()) {
    if (prefix.empty() && (key == "n" || key == "seed")) continue;
    const std::string full = prefix.empty() ? key : prefix + "." + key;
    if (value.is_table() && value.find("low")) {
      out.push_back(interval_of(full, value));
    } else if (value.is_table()) {
      collect_sources(value, full, out);
    } else {
      Lists list;  // refuses what is no list, and keys that are not swept
      collect({Node::Table{{key, value}}, table.origin, {}}, prefix, "sweep.random", list);
      Source source{full, &value};
      source.origin = value.origin;
      out.push_back(std::move(source));
    }
  }
}

// Draw i: four digits are enough for a person to read and a search to find.
Node drawn_value(const Source& source, uint64_t seed, int64_t i) {
  const double u = Draws(mix_key(name_key(source.key), seed), static_cast<uint64_t>(i)).uniform();
  Node node;
  if (source.list) {
    const Node::Array& values = source.list->array();
    node = values[static_cast<size_t>(u * static_cast<double>(values.size()))];
  } else {
    const double high = source.high + (source.whole ? 1 : 0);  // the last of whole numbers is drawn as often
    const double exact =
        source.log ? source.low * std::pow(high / source.low, u) : source.low + (high - source.low) * u;
    if (source.whole) {
      node.value = static_cast<int64_t>(std::floor(exact));
    } else {
      std::ostringstream digits;
      digits << std::setprecision(4) << exact;
      node.value = std::clamp(std::stod(digits.str()), source.low, source.high);
    }
  }
  node.origin = source.origin;
  return node;
}

Axis random_axis(const Node& table, const std::vector<Axis>& others) {
  int64_t count = 0, seed = 0;
  TableReader reader(&table, "sweep.random");
  reader.integer("n", count, "", between(1, 10'000));
  reader.integer("seed", seed, "", any_seed());
  std::vector<Source> sources;
  collect_sources(table, "", sources);
  if (count == 0 || sources.empty())
    fail(Exit::usage, table.origin.text(), ": sweep.random = ", shown(table),
         ", allowed: n, the number of draws, and keys with a list or { low, high, log }.");
  for (const Source& source : sources) {
    const Node node{std::monostate(), source.origin, source.origin};
    refuse_swept_twice({{source.key, &node}}, "sweep.random", others);
  }
  auto drawn = std::make_shared<std::vector<Node>>();
  for (int64_t i = 0; i < count; ++i)
    for (const Source& source : sources)
      drawn->push_back(drawn_value(source, static_cast<uint64_t>(seed), i));
  Axis axis{{}, table.origin};
  for (size_t i = 0; i < drawn->size(); ++i) {
    if (i % sources.size() == 0) axis.rows.emplace_back();
    axis.rows.back().push_back({sources[i % sources.size()].key, &(*drawn)[i]});
  }
  axis.drawn = std::move(drawn);
  return axis;
}

}  // namespace

bool fixed(const Node& root, std::string_view key, const std::vector<std::string>& set_keys) {
  for (const std::string& set_key : set_keys) {
    if (rival(key) == set_key && !set_key.empty()) return true;
    const Node* set = at_path(root, set_key);
    for (size_t dot = key.find('.');; dot = key.find('.', dot + 1)) {
      if (set && at_path(root, key.substr(0, dot)) == set) return true;
      if (dot == std::string_view::npos) break;
    }
  }
  return false;
}

void settle(Axis& axis, const Node& root, const std::vector<std::string>& set_keys) {
  for (Settings& row : axis.rows) {
    for (Setting& setting : row)
      if (fixed(root, setting.key, set_keys))
        setting.value = axis.around_base ? nullptr : at_path(root, setting.key);
    std::erase_if(row, [](const Setting& setting) { return !setting.value; });
  }
  std::set<std::string> seen;
  std::erase_if(axis.rows, [&](const Settings& row) { return !seen.insert(row_text(row)).second; });
}

std::vector<std::string> keys_of(const Axis& axis) {
  std::vector<std::string> keys;
  for (const Settings& row : axis.rows)
    for (const Setting& setting : row)
      if (std::find(keys.begin(), keys.end(), setting.key) == keys.end()) keys.push_back(setting.key);
  return keys;
}

std::vector<Axis> axes_of(const Node& root, const Node* grid_table, const Node* zip_table,
                          const Node* ablate_table, const Node* random_table) {
  const Lists grid = lists_of(grid_table, "sweep.grid"), zip = lists_of(zip_table, "sweep.zip"),
              ablate = lists_of(ablate_table, "sweep.ablate");
  std::vector<Axis> axes;
  for (const auto& [key, list] : grid) {
    Axis axis{{}, list->origin};
    for (const Node& value : list->array()) axis.rows.push_back({{key, &value}});
    refuse_duplicates(axis, "sweep.grid." + key);
    axes.push_back(std::move(axis));
  }
  if (!zip.empty()) axes.push_back(zip_axis(zip, grid));
  if (!ablate.empty()) {
    refuse_swept_twice(ablate, "sweep.ablate", axes);
    axes.push_back(ablate_axis(ablate, root));
  }
  if (random_table) axes.push_back(random_axis(*random_table, axes));
  return axes;
}

Exclusion::Exclusion(const Node* list, const std::vector<std::string>& keys) {
  if (!list) return;
  const auto is_table = [](const Node& node) { return node.is_table() && !node.table().empty(); };
  if (!list->is_array() || !std::all_of(list->array().begin(), list->array().end(), is_table))
    fail(Exit::usage, list->origin.text(), ": sweep.exclude = ", shown(*list),
         ", allowed: a list of tables, { \"loss.name\" = \"dcl\", \"loss.temperature\" = 0.1 }.");
  for (const Node& given : list->array()) {
    Table table{{}, given.origin};
    const std::function<void(const Node&, const std::string&)> take = [&](const Node& node,
                                                                          const std::string& prefix) {
      for (const auto& [key, value] : node.table()) {
        const std::string full = prefix.empty() ? key : prefix + "." + key;
        if (std::find(keys.begin(), keys.end(), full) != keys.end()) {
          table.values.emplace_back(full, &value);
        } else if (value.is_table()) {
          take(value, full);
        } else {
          fail(Exit::usage, value.key_origin.text(), ": sweep.exclude names '", full,
               "', which is not swept.", known_names("swept keys", full, keys));
        }
      }
    };
    take(given, "");
    tables_.push_back(std::move(table));
  }
}

bool Exclusion::excludes(const Settings& combination) {
  bool excluded = false;
  for (Table& table : tables_) {
    const bool all = std::all_of(table.values.begin(), table.values.end(), [&](const auto& wanted) {
      return std::any_of(combination.begin(), combination.end(), [&](const Setting& setting) {
        return setting.key == wanted.first && plain_text(*setting.value) == plain_text(*wanted.second);
      });
    });
    table.met = table.met || all;
    excluded = excluded || all;
  }
  return excluded;
}

void Exclusion::refuse_idle() const {
  for (const Table& table : tables_)
    if (!table.met) fail(Exit::usage, table.origin.text(), ": this table of sweep.exclude excludes nothing.");
}

}  // namespace foil
