// SPDX-License-Identifier: BSD-3-Clause
// foil_conformance PLUGIN.so [NAME]: the conformance tests of every loss that a plugin registers, or of one. Prints a report; exit
// 0 when all hold, 1 when one fails, 2 for a wrong command line, 3 when the plugin is refused.
#include "conformance.h"

#include "plugins/loader.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fmt::print(stderr, "usage: foil_conformance PLUGIN.so [NAME]\n");
    return static_cast<int>(foil::Exit::usage);
  }
  at::set_num_threads(1);  // tiny tensors
  try {
    foil::Registry& registry = foil::Registry::instance();
    foil::load_plugin(argv[1], registry);
    std::vector<std::string> names = registry.names("loss");
    if (argc == 3) names = {registry.find("loss", argv[2], argv[1]).name};
    if (names.empty()) foil::fail(foil::Exit::failure, argv[1], ": registers no loss.");
    bool passed = true;
    for (const std::string& name : names) {
      const auto report = foil::conformance::test(registry.find("loss", name, argv[1]));
      fmt::print("{}", report.text(name));
      std::fflush(stdout);
      passed = passed && report.passed();
    }
    return passed ? 0 : 1;
  } catch (const foil::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}
