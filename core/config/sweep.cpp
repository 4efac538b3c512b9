// SPDX-License-Identifier: BSD-3-Clause
// Expanding [sweep]: the product of its axes, then the seeds; and the sweeps of several files as one.
#include "config/sweep.h"

#include "config/allowed.h"
#include "config/axes.h"
#include "config/dump.h"
#include "config/load.h"
#include "config/override.h"
#include "config/path.h"
#include "config/reader.h"
#include "run/text.h"

#include <foil/error.h>

#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <limits>
#include <map>
#include <set>

namespace fs = std::filesystem;

namespace foil {
namespace {

constexpr int64_t kMostSeeds = 1000;  // more is a seed mistaken for a count
constexpr int64_t kMostTrials = 10'000;

std::vector<int64_t> seeds_of(const Node* seeds, int64_t first) {
  if (!seeds) return {first};
  std::vector<int64_t> out;
  if (seeds->is_integer() && seeds->integer() >= 1 && seeds->integer() <= kMostSeeds) {
    if (first > std::numeric_limits<int64_t>::max() - seeds->integer()) {
      fail(Exit::usage, seeds->origin.text(), ": sweep.seeds = ", shown(*seeds),
           ", allowed: a list, as run.seed = ", first, " leaves no room to count.");
    }
    for (int64_t k = 0; k < seeds->integer(); ++k) out.push_back(first + k);
  } else if (seeds->is_array()) {
    if (const size_t count = seeds->array().size(); count > static_cast<size_t>(kMostTrials)) {
      fail(Exit::usage, seeds->origin.text(), ": sweep.seeds lists ", count, " seeds, allowed: at most ",
           kMostTrials, ".");
    }
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
    fail(Exit::usage, seeds->origin.text(), ": sweep.seeds = ", shown(*seeds),
         ", allowed: a count from 1 to ", kMostSeeds, " or a list of integers >= 0.");
  }
  return out;
}

// The shortest tail of each key that no other key ends in: "temperature", or "0.temperature" and
// "1.temperature".
std::vector<std::string> short_names(const std::vector<std::string>& keys) {
  std::vector<std::string> names;
  for (const std::string& key : keys) {
    size_t dot = key.rfind('.');
    const auto shared = [&](const std::string& tail) {
      return std::count_if(keys.begin(), keys.end(), [&](const std::string& other) {
        return other == tail || other.ends_with("." + tail);
      });
    };
    while (dot != std::string::npos && shared(key.substr(dot + 1)) > 1) {
      dot = dot == 0 ? std::string::npos : key.rfind('.', dot - 1);
    }
    names.push_back(dot == std::string::npos ? key : key.substr(dot + 1));
  }
  return names;
}

// A combination by its values; `keys` are all that are swept. What is ablated and stands as it was is "base".
std::string variant_text(const std::vector<std::string>& keys, const Settings& row) {
  const std::vector<std::string> names = short_names(keys);
  std::string text;
  for (const auto& [key, node] : row) {
    const bool bare = node->is_text() && (keys.size() == 1 || key.ends_with(".name"));
    const bool plain = node->is_text() && node->text() == printable(node->text());
    const std::string value = plain ? node->text() : to_toml(*node);
    const auto k = static_cast<size_t>(std::find(keys.begin(), keys.end(), key) - keys.begin());
    text += (text.empty() ? "" : " ") + (bare ? value : names[k] + "=" + value);
  }
  return text.empty() ? "base" : text;
}

// Letters, digits and "._=+-" stay; what is between them becomes one '-'.
std::string slug(const std::string& variant) {
  std::string out;
  for (const char c : variant) {
    const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("._=+-").find(c) < 5;
    if (safe) out += c;
    if (!safe && !out.empty() && out.back() != '-') out += '-';
  }
  out.erase(0, out.find_first_not_of("-."));
  out = out.substr(0, 80);
  out.erase(out.find_last_not_of('-') + 1);
  return out.empty() ? "variant" : out;
}

// Names for folders, each given once: `name`, then "name-2", "name-3", ...
class FolderNames {
 public:
  std::string next(const std::string& name) {
    std::string own = name;
    while (!taken_.insert(own).second)
      own = name + "-" + std::to_string(++last_.try_emplace(name, 1).first->second);
    return own;
  }

 private:
  std::set<std::string> taken_;
  std::map<std::string, int> last_;
};

// What [sweep] asks for, as it is written.
struct Sweep {
  const Node *seeds = nullptr, *exclude = nullptr;
  Origin pruned;
  std::vector<Axis> axes;
};

Sweep read_sweep(const Node& root) {
  TableReader table(root.find("sweep"), "sweep");
  Sweep sweep;
  sweep.seeds = table.take("seeds");
  const Node* const grid = table.take("grid");
  const Node* const zip = table.take("zip");
  const Node* const ablate = table.take("ablate");
  const Node* const random = table.take("random");
  sweep.exclude = table.take("exclude");
  std::string prune = "no";
  table.choice("prune", prune, {"no", "median"}, "");
  if (prune == "median") sweep.pruned = table.place("prune");
  if (const Node* files = table.take("files")) {
    fail(Exit::usage, files->key_origin.text(),
         ": sweep.files in a file that another one lists, allowed: seeds, grid, zip, ablate, random, exclude "
         "and prune.");
  }
  table.finish();
  sweep.axes = axes_of(root, grid, zip, ablate, random);
  return sweep;
}

// Refuses a product beyond the limit before anything is expanded.
void refuse_too_many(const Node& root, const std::vector<Axis>& axes, size_t seeds) {
  std::string product;
  double trials = 1;
  const auto factor = [&](size_t size, const std::string& what) {
    trials *= static_cast<double>(size);
    product += (product.empty() ? "" : " x ") + std::to_string(size) + what;
  };
  for (const Axis& axis : axes) factor(axis.rows.size(), "");
  factor(seeds, seeds == 1 ? " seed" : " seeds");
  if (trials <= static_cast<double>(kMostTrials)) return;
  fail(Exit::usage, root.find("sweep")->origin.text(), ": [sweep] asks for ", product, " = ", std::fixed,
       std::setprecision(0), trials, " trials, allowed: at most ", kMostTrials, ".");
}

// Every combination of the rows of the axes, the first axis slowest.
std::vector<Settings> combinations(const std::vector<Axis>& axes) {
  std::vector<Settings> rows = {{}};
  for (const Axis& axis : axes) {
    std::vector<Settings> longer;
    for (const auto& row : rows) {
      for (const auto& more : axis.rows) {
        longer.push_back(row);
        longer.back().insert(longer.back().end(), more.begin(), more.end());
      }
    }
    rows = std::move(longer);
  }
  return rows;
}

// The folder of a study is that of its trials: all say the same run.name and run.output.
void refuse_two_folders(const std::vector<Trial>& trials) {
  for (const char* key : {"run.name", "run.output"}) {
    const auto text = [&](const Trial& trial) {
      const Node* value = at_path(trial.root, key);
      return value ? to_toml(*value) : "";
    };
    for (const Trial& trial : trials) {
      if (text(trial) == text(trials.front())) continue;
      const Node* value = at_path(trial.root, key);
      fail(Exit::usage, (value ? value : &trial.root)->origin.text(), ": ", key, " = ",
           value ? shown(*value) : "(not given)",
           ", allowed: one value for all trials, which lie in one folder.");
    }
  }
}

}  // namespace

std::vector<Trial> expand(const Node& root, const std::vector<std::string>& set_keys,
                          const std::string& label) {
  Sweep sweep = read_sweep(root);
  int64_t first_seed = 0;
  std::string run_name = "default";
  TableReader run(root.find("run"), "run");
  run.integer("seed", first_seed, "", any_seed());
  run.text("name", run_name, "");
  const bool seed_fixed = fixed(root, "run.seed", set_keys);
  std::vector<int64_t> seeds = seeds_of(sweep.seeds, first_seed);
  if (seed_fixed) seeds = {first_seed};

  std::vector<std::string> keys;
  for (Axis& axis : sweep.axes) {
    settle(axis, root, set_keys);
    const std::vector<std::string> own = keys_of(axis);
    keys.insert(keys.end(), own.begin(), own.end());
  }
  refuse_too_many(root, sweep.axes, seeds.size());

  const std::string alone = label.empty() ? run_name : label, lead = label.empty() ? "" : label + " ";
  Node plain = root;
  plain.erase("sweep");
  plain.erase("report");
  std::vector<Trial> trials;
  FolderNames names;
  Exclusion exclusion(sweep.exclude, keys);
  for (const Settings& row : combinations(sweep.axes)) {
    if (exclusion.excludes(row)) continue;
    Trial trial;
    trial.root = plain;
    trial.pruned = sweep.pruned;
    trial.variant = keys.empty() ? alone : lead + variant_text(keys, row);
    for (const auto& [key, value] : row) {
      if (fixed(root, key, set_keys)) continue;
      override_value(trial.root, key, *value);  // its origin stays the place in [sweep]
      trial.sets.push_back(key + "=" + to_toml(*value));
    }
    for (const std::string& key : set_keys) {  // below a swept table
      if (const Node* value = at_path(root, key)) override_value(trial.root, key, *value);
    }
    const std::string folder = keys.empty() && label.empty() ? "" : names.next(slug(trial.variant)) + "-";
    for (const int64_t seed : seeds) {
      Trial& seeded = trials.emplace_back(trial);
      seeded.seed = seed;
      seeded.name = folder + "seed" + std::to_string(seed);
      if (!sweep.seeds || seed_fixed) continue;
      override_value(seeded.root, "run.seed", {seed, sweep.seeds->origin, {}});
      seeded.sets.push_back("run.seed=" + std::to_string(seed));
    }
  }
  if (set_keys.empty()) exclusion.refuse_idle();
  if (trials.empty())
    fail(Exit::usage, sweep.exclude->origin.text(), ": sweep.exclude leaves no combination to try.");
  refuse_two_folders(trials);
  return trials;
}

namespace {

// The folder of a study is what the listing file says, whatever the listed ones call their own.
void drop_own_folder(Node& root) {
  if (Node* run = root.find("run")) {
    run->erase("name");
    run->erase("output");
  }
}

}  // namespace

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
  if (!good)
    fail(Exit::usage, files.origin.text(), ": sweep.files = ", shown(files),
         ", allowed: a list of paths of TOML files.");
  std::vector<Trial> trials;
  std::set<std::string> taken;
  for (const Node& path : files.array()) {
    const fs::path inner = path_of(path, "sweep.files");
    if (!taken.insert(inner.stem().string()).second) {
      fail(Exit::usage, path.origin.text(), ": sweep.files lists '", inner.stem().string(), "' twice.");
    }
    Node root = load_experiment(inner.string(), {}, path.origin.text() + ": ");
    drop_own_folder(root);
    merge(root, outer);
    override_with(root, sets);
    for (Trial& trial : expand(root, set_keys(sets), inner.stem().string()))
      trials.push_back(std::move(trial));
    if (trials.size() > static_cast<size_t>(kMostTrials)) {
      fail(Exit::usage, files.origin.text(), ": sweep.files asks for more than ", kMostTrials,
           " trials, allowed: at most ", kMostTrials, ".");
    }
  }
  return trials;
}

}  // namespace foil
