// SPDX-License-Identifier: BSD-3-Clause
// Reading grid and zip, telling equal values, and what the command line leaves of them.
#include "config/axes.h"

#include "config/dump.h"
#include "config/override.h"
#include "config/reader.h"

#include <foil/error.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

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

std::string row_text(const std::vector<const Node*>& row) {
  std::string text;
  for (const Node* value : row) text += plain_text(*value) + "\n";
  return text;
}

void refuse_duplicates(const Axis& axis, const std::string& name) {
  std::set<std::string> seen;
  for (const auto& row : axis.rows) {
    if (!seen.insert(row_text(row)).second)
      fail(Exit::usage, axis.origin.text(), ": ", name, " lists a value twice.");
  }
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
  for (size_t k = axis.keys.size(); k-- > 0;) {
    if (!fixed(root, axis.keys[k], set_keys)) continue;
    const Node* value = at_path(root, axis.keys[k]);
    for (auto& row : axis.rows) {
      if (value) {
        row[k] = value;
      } else {
        row.erase(row.begin() + static_cast<std::ptrdiff_t>(k));
      }
    }
    if (!value) axis.keys.erase(axis.keys.begin() + static_cast<std::ptrdiff_t>(k));
  }
  std::set<std::string> seen;
  std::erase_if(axis.rows, [&](const auto& row) { return !seen.insert(row_text(row)).second; });
}

std::vector<Axis> axes_of(const Node* grid_table, const Node* zip_table) {
  const Lists grid = lists_of(grid_table, "sweep.grid"), zip = lists_of(zip_table, "sweep.zip");
  std::vector<Axis> axes;
  for (const auto& [key, list] : grid) {
    Axis axis{{key}, {}, list->origin};
    for (const Node& value : list->array()) axis.rows.push_back({&value});
    refuse_duplicates(axis, "sweep.grid." + key);
    axes.push_back(std::move(axis));
  }
  if (zip.empty()) return axes;
  const size_t length = zip[0].second->array().size();
  Axis axis{{}, std::vector<std::vector<const Node*>>(length), zip[0].second->origin};
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
    axis.keys.push_back(key);
    for (size_t r = 0; r < length; ++r) axis.rows[r].push_back(&list->array()[r]);
  }
  refuse_duplicates(axis, "sweep.zip");
  axes.push_back(std::move(axis));
  return axes;
}

}  // namespace foil
