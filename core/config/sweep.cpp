// SPDX-License-Identifier: BSD-3-Clause
// Expanding [sweep]: axes (a grid key, or all of zip), their product, then the seeds.
#include "config/sweep.h"

#include <foil/error.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "config/dump.h"
#include "config/load.h"
#include "config/override.h"
#include "config/reader.h"

namespace fs = std::filesystem;

namespace foil {
namespace {

// One list of things to try: `rows[r][k]` is the value of `keys[k]` in row r.
struct Axis {
  std::vector<std::string> keys;
  std::vector<std::vector<const Node*>> rows;
  Origin origin;
};

using Lists = std::vector<std::pair<std::string, const Node*>>;  // a swept key and its values

constexpr int64_t kMostSeeds = 1000;  // more is a seed mistaken for a count

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
      fail(Exit::usage, value.key_origin.text(), ": ", shown_as, ".", full, ": seeds are listed in sweep.seeds.");
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

std::string row_text(const std::vector<const Node*>& row) {
  std::string text;
  for (const Node* value : row) text += to_toml(*value) + "\n";
  return text;
}

// Whether the command line fixes `key`: it names the key, a table above it, or the key that replaces it.
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

void refuse_duplicates(const Axis& axis, const std::string& name) {
  std::set<std::string> seen;
  for (const auto& row : axis.rows) {
    if (!seen.insert(row_text(row)).second) fail(Exit::usage, axis.origin.text(), ": ", name, " lists a value twice.");
  }
}

// Gives the fixed keys of an axis the value that `root` holds, drops them when it holds none, and keeps one of equal rows.
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
    const bool in_grid = std::any_of(grid.begin(), grid.end(), [&](const auto& entry) { return entry.first == key; });
    if (in_grid) fail(Exit::usage, list->key_origin.text(), ": sweep.zip.", key, " is in sweep.grid too.");
    const size_t size = list->array().size();
    if (size != length) {
      fail(Exit::usage, list->origin.text(), ": sweep.zip.", key, " has ", size, size == 1 ? " value" : " values",
           " but sweep.zip.", zip[0].first, " has ", length, "; lists in zip have equal lengths.");
    }
    axis.keys.push_back(key);
    for (size_t r = 0; r < length; ++r) axis.rows[r].push_back(&list->array()[r]);
  }
  refuse_duplicates(axis, "sweep.zip");
  axes.push_back(std::move(axis));
  return axes;
}

std::vector<int64_t> seeds_of(const Node* seeds, int64_t first) {
  if (!seeds) return {first};
  std::vector<int64_t> out;
  if (seeds->is_integer() && seeds->integer() >= 1 && seeds->integer() <= kMostSeeds) {
    for (int64_t k = 0; k < seeds->integer(); ++k) out.push_back(first + k);
  } else if (seeds->is_array()) {
    for (const Node& seed : seeds->array()) {
      if (!seed.is_integer() || seed.integer() < 0) break;
      if (std::find(out.begin(), out.end(), seed.integer()) != out.end()) {
        fail(Exit::usage, seed.origin.text(), ": sweep.seeds lists ", seed.integer(), " twice.");
      }
      out.push_back(seed.integer());
    }
    if (out.size() != seeds->array().size()) out.clear();
  }
  if (out.empty()) {
    fail(Exit::usage, seeds->origin.text(), ": sweep.seeds = ", shown(*seeds), ", allowed: a count from 1 to ", kMostSeeds,
         " or a list of integers >= 0.");
  }
  return out;
}

// The shortest tail of each key that no other key ends in: "temperature", or "0.temperature" and "1.temperature".
std::vector<std::string> short_names(const std::vector<std::string>& keys) {
  std::vector<std::string> names;
  for (const std::string& key : keys) {
    size_t dot = key.rfind('.');
    const auto shared = [&](const std::string& tail) {
      return std::count_if(keys.begin(), keys.end(),
                           [&](const std::string& other) { return other == tail || other.ends_with("." + tail); });
    };
    while (dot != std::string::npos && shared(key.substr(dot + 1)) > 1) {
      dot = dot == 0 ? std::string::npos : key.rfind('.', dot - 1);
    }
    names.push_back(dot == std::string::npos ? key : key.substr(dot + 1));
  }
  return names;
}

std::string variant_text(const std::vector<std::string>& keys, const std::vector<const Node*>& values) {
  const std::vector<std::string> names = short_names(keys);
  std::string text;
  for (size_t k = 0; k < keys.size(); ++k) {
    const bool bare = values[k]->is_text() && (keys.size() == 1 || keys[k].ends_with(".name"));
    const std::string value = values[k]->is_text() ? values[k]->text() : to_toml(*values[k]);
    text += (k ? " " : "") + (bare ? value : names[k] + "=" + value);
  }
  return text;
}

// Letters, digits and "._=+-" stay; what is between them becomes one '-'.
std::string slug(const std::string& variant) {
  std::string out;
  for (const char c : variant) {
    const bool safe =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("._=+-").find(c) < 5;
    if (safe) out += c;
    if (!safe && !out.empty() && out.back() != '-') out += '-';
  }
  out.erase(0, out.find_first_not_of("-."));
  out = out.substr(0, 80);
  out.erase(out.find_last_not_of('-') + 1);
  return out.empty() ? "variant" : out;
}

// `name`, or "name-2", "name-3", ... when it is taken; it is then.
std::string unique(const std::string& name, std::set<std::string>& taken) {
  std::string own = name;
  for (int n = 2; !taken.insert(own).second; ++n) own = name + "-" + std::to_string(n);
  return own;
}

}  // namespace

std::vector<Trial> expand(const Node& root, const std::vector<std::string>& set_keys, const std::string& label) {
  TableReader sweep(root.find("sweep"), "sweep");
  const Node* const seeds_list = sweep.take("seeds");
  const Node* const grid = sweep.take("grid");
  const Node* const zip = sweep.take("zip");
  if (const Node* files = sweep.take("files")) {
    fail(Exit::usage, files->key_origin.text(), ": sweep.files in a file that another one lists, allowed: seeds, grid and zip.");
  }
  sweep.finish();
  std::vector<Axis> axes = axes_of(grid, zip);

  int64_t first_seed = 0;
  std::string run_name = "default";
  TableReader run(root.find("run"), "run");
  run.integer("seed", first_seed, "", at_least(0));
  run.text("name", run_name, "");
  const bool seed_fixed = fixed(root, "run.seed", set_keys);
  std::vector<int64_t> seeds = seeds_of(seeds_list, first_seed);
  if (seed_fixed) seeds = {first_seed};

  std::vector<std::string> keys;
  std::vector<std::vector<const Node*>> rows = {{}};
  for (Axis& axis : axes) {
    settle(axis, root, set_keys);
    keys.insert(keys.end(), axis.keys.begin(), axis.keys.end());
    std::vector<std::vector<const Node*>> longer;
    for (const auto& row : rows) {
      for (const auto& more : axis.rows) {
        longer.push_back(row);
        longer.back().insert(longer.back().end(), more.begin(), more.end());
      }
    }
    rows = std::move(longer);
  }

  const std::string alone = label.empty() ? run_name : label, lead = label.empty() ? "" : label + " ";
  std::vector<Trial> trials;
  std::set<std::string> taken;
  for (const auto& row : rows) {
    Trial trial;
    trial.root = root;
    trial.variant = keys.empty() ? alone : lead + variant_text(keys, row);
    for (size_t k = 0; k < keys.size(); ++k) {
      if (fixed(root, keys[k], set_keys)) continue;
      override_value(trial.root, keys[k], *row[k]);  // its origin stays the place in [sweep]
      trial.sets.push_back(keys[k] + "=" + to_toml(*row[k]));
    }
    for (const std::string& key : set_keys) {  // below a swept table
      if (const Node* value = at_path(root, key)) override_value(trial.root, key, *value);
    }
    trial.root.erase("sweep");
    const std::string folder = keys.empty() && label.empty() ? "" : unique(slug(trial.variant), taken) + "-";
    for (const int64_t seed : seeds) {
      Trial& seeded = trials.emplace_back(trial);
      seeded.seed = seed;
      seeded.name = folder + "seed" + std::to_string(seed);
      if (!seeds_list || seed_fixed) continue;
      override_value(seeded.root, "run.seed", {seed, seeds_list->origin, {}});
      seeded.sets.push_back("run.seed=" + std::to_string(seed));
    }
  }
  return trials;
}

std::vector<Trial> load_trials(const std::string& file, const std::vector<std::string>& sets) {
  Node outer = load_experiment(file);
  Node* sweep = outer.find("sweep");
  const Node* found = sweep ? sweep->find("files") : nullptr;
  if (!found) {
    override_with(outer, sets);
    return expand(outer, set_keys(sets));
  }
  const Node files = *found;
  sweep->erase("files");
  const bool good = files.is_array() && !files.array().empty() &&
                    std::all_of(files.array().begin(), files.array().end(),
                                [](const Node& path) { return path.is_text() && !path.text().empty(); });
  if (!good) fail(Exit::usage, files.origin.text(), ": sweep.files = ", shown(files), ", allowed: a list of paths of TOML files.");
  std::vector<Trial> trials;
  std::set<std::string> taken;
  for (const Node& path : files.array()) {
    const fs::path inner = (fs::path(path.origin.file).parent_path() / path.text()).lexically_normal();
    if (!taken.insert(inner.stem().string()).second) {
      fail(Exit::usage, path.origin.text(), ": sweep.files lists '", inner.stem().string(), "' twice.");
    }
    Node root = load_experiment(inner.string(), {}, path.origin.text() + ": ");
    merge(root, outer);
    override_with(root, sets);
    for (Trial& trial : expand(root, set_keys(sets), inner.stem().string())) trials.push_back(std::move(trial));
  }
  return trials;
}

}  // namespace foil
