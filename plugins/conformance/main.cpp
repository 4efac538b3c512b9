// SPDX-License-Identifier: BSD-3-Clause
// foil_conformance [--item ITEM] PLUGIN.so ...: the conformance tests, or one item of them, of every loss that the plugins
// register. Prints a report; exit 0 when all hold, 1 when one fails, 2 for a wrong command line, 3 when a plugin is refused, 77
// when all was skipped.
#include "conformance.h"

#include "plugins/loader.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;
  const bool one_item = argc > 2 && std::strcmp(argv[1], "--item") == 0;
  const int first = one_item ? 3 : 1;
  if (argc <= first) {
    fmt::print(stderr, "usage: foil_conformance [--item ITEM] PLUGIN.so ...\n");
    return static_cast<int>(foil::Exit::usage);
  }
  at::set_num_threads(1);  // tiny tensors
  try {
    foil::Registry& registry = foil::Registry::instance();
    for (int i = first; i < argc; ++i) {
      const size_t before = registry.names("loss").size();
      foil::load_plugin(argv[i], registry);
      if (registry.names("loss").size() == before) foil::fail(foil::Exit::failure, argv[i], ": registers no loss.");
    }
    bool passed = true, skipped = true;
    for (const std::string& name : registry.names("loss")) {
      const auto report = foil::conformance::test(registry.find("loss", name, "foil_conformance"), one_item ? argv[2] : "");
      fmt::print("{}", report.text(name));
      std::fflush(stdout);
      passed = passed && report.passed();
      skipped = skipped && report.skipped();
    }
    return !passed ? 1 : skipped ? kSkipped : 0;
  } catch (const foil::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}
