// SPDX-License-Identifier: BSD-3-Clause
// The program foil_conformance: the conformance tests of every component that the given plugins register. A
// report goes to stdout; exit 0 when all hold, 1 when one fails, 2 for a wrong command line, 3 when a plugin
// is refused, 77 when all was skipped.
#include "config/load.h"
#include "conformance.h"
#include "plugins/loader.h"

#include <CLI/CLI.hpp>
#include <c10/util/Logging.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdio>

namespace {

using foil::Component;
using foil::conformance::items_of;

struct Options {
  std::string item;
  std::vector<std::string> sets, plugins;
};

std::string footer() {
  std::string text = "Items of each kind (plugins/README.md says what each holds and guards against):\n";
  for (const char* kind : {"loss", "encoder", "augmentation", "data set", "sampler"})
    text += fmt::format("  {:<13} {}\n", kind, fmt::join(items_of(kind), ", "));
  return text +
         "Exit codes: 0 all hold, 1 one fails, 2 command line, 3 a plugin was refused, 77 all was skipped.";
}

// What the plugins register.
std::vector<const Component*> load(const Options& options) {
  foil::Registry& registry = foil::Registry::instance();
  std::vector<const Component*> all;
  for (const std::string& plugin : options.plugins) {
    foil::load_plugin(plugin, registry);
    const size_t before = all.size();
    for (const Component* component : registry.all())
      if (std::find(all.begin(), all.end(), component) == all.end()) all.push_back(component);
    if (all.size() == before) foil::fail(foil::Exit::failure, plugin, ": registers nothing.");
  }
  return all;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Those that have the item; Error where none has.
std::vector<const Component*> with_item(std::vector<const Component*> all, const std::string& item) {
  if (item.empty()) return all;
  std::vector<std::string> known;
  for (const Component* component : all) {
    for (const std::string& name : items_of(component->kind))
      if (!has(known, name)) known.push_back(name);
  }
  if (!has(known, item))
    foil::fail(foil::Exit::usage, "unknown item '", item, "'.", foil::known_names("items", item, known));
  std::erase_if(all, [&](const Component* component) { return !has(items_of(component->kind), item); });
  return all;
}

// The part of --set that is for a component: the options that it has.
foil::Node given(const Component& component, const foil::Node& sets) {
  foil::Node own{foil::Node::Table{}, {}, {}};
  for (const auto& option : foil::conformance::options_of(component))
    if (const foil::Node* value = sets.find(option.key)) own.set(option.key, *value);
  return own;
}

void check_sets(const std::vector<const Component*>& all, const foil::Node& sets) {
  std::vector<std::string> known;
  for (const Component* component : all)
    for (const auto& option : foil::conformance::options_of(*component)) known.push_back(option.key);
  for (const auto& [key, value] : sets.table())
    if (!has(known, key))
      foil::fail(foil::Exit::usage, "--set: unknown option '", key, "'.",
                 foil::known_names("options", key, known));
}

int run(const Options& options) {
  constexpr int kSkipped = 77;
  const std::vector<const Component*> all = with_item(load(options), options.item);
  foil::Node sets{foil::Node::Table{}, {}, {}};
  if (!options.sets.empty()) sets = *foil::table_of_sets(options.sets, "component").find("component");
  check_sets(all, sets);
  bool passed = true, skipped = true;
  for (const Component* component : all) {
    const auto report = foil::conformance::test(*component, options.item, given(*component, sets));
    fmt::print("{}", report.text(component->kind + " " + component->name));
    std::fflush(stdout);
    passed = passed && report.passed();
    skipped = skipped && report.skipped();
  }
  if (!passed) return 1;
  return skipped ? kSkipped : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "foil_conformance: what every component of a kind must hold, whatever it computes, tried on tiny data "
      "under the option "
      "sets that its describe() gives"};
  Options options;
  app.add_option("PLUGIN", options.plugins, "plugins, .so files")->required();
  app.add_option("--item", options.item, "one item alone");
  app.add_option(
         "--set", options.sets,
         "KEY=VALUE: an option that holds in every option set, such as a data set's path; may be repeated")
      ->allow_extra_args(false);
  app.footer(footer());
  app.failure_message(CLI::FailureMessage::simple);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(foil::Exit::usage);
  }
  ::setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
  c10::initLogging();
  at::set_num_threads(1);  // tiny tensors
  try {
    return run(options);
  } catch (const foil::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}
