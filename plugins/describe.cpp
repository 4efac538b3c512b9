// SPDX-License-Identifier: BSD-3-Clause
// foil describe: the text a library carries, what a loss needs, and the options with their defaults.
#include "api/loss_tensors.h"
#include "commands.h"
#include "config/reader.h"

#include <cstdio>
#include <sstream>

namespace foil {
namespace {

// What a library says of itself, in two: the text, and the TOML snippet in it, which begins at the first
// indented line with a bracket and ends before the next line that is not indented. Both empty when it says
// nothing.
struct About {
  std::string text, snippet;
};

About split(const std::string& about) {
  About out;
  std::istringstream lines(about);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const size_t start = line.find_first_not_of(' ');
    if (start == std::string::npos) {
      (inside ? out.snippet : out.text) += "\n";
      continue;
    }
    if (start > 0 && line[start] == '[') inside = true;
    if (start == 0) inside = false;
    if (inside) {
      out.snippet += line.substr(std::min<size_t>(start, 2)) + "\n";
    } else {
      out.text += line + "\n";
    }
  }
  for (std::string* part : {&out.text, &out.snippet}) {
    while (part->ends_with("\n\n")) part->pop_back();
    if (*part == "\n") part->clear();
  }
  return out;
}

std::string table_of(const std::string& kind) {
  if (kind == "loss") return "[[loss]]";
  if (kind == "augmentation") return "[[augment]]";
  return kind == "data set" ? "[data]" : "[" + kind + "]";
}

// Every option at its default.
std::string default_snippet(const Component& component, const std::vector<FieldDoc>& options) {
  std::string text = table_of(component.kind) + "\nname = \"" + component.name + "\"\n";
  for (const FieldDoc& option : options) text += option.key + " = " + option.default_value + "\n";
  return text;
}

std::string needs_of(const Component& component) {
  TableReader defaults(nullptr, "");
  return needs_text(std::static_pointer_cast<Loss>(component.make(defaults))->needs());
}

void print(const Component& component, const About& about) {
  const std::vector<FieldDoc> options = describe(component.describe);
  std::printf("%s %s (%s)\n", component.kind.c_str(), component.name.c_str(), component.origin.c_str());
  if (!about.text.empty()) std::printf("\n%s", about.text.c_str());
  if (component.kind == "loss") std::printf("\nneeds: %s\n", needs_of(component).c_str());
  if (!options.empty()) std::printf("\n%s", describe_text(options).c_str());
  const bool own = about.snippet.find("name = \"" + component.name + "\"") != std::string::npos;
  std::printf("\n%s", (own ? about.snippet : default_snippet(component, options)).c_str());
}

}  // namespace

int describe_command(const Registry& registry, const std::string& name,
                     const std::vector<std::string>& looked, const std::vector<std::string>& refused) {
  std::vector<std::string> names;
  bool found = false;
  for (const Component* component : registry.all()) {
    names.push_back(component->name);
    if (component->name != name) continue;
    if (found) std::printf("\n");
    found = true;
    print(*component, split(registry.about(component->origin)));
  }
  if (!found) {
    std::string where;
    for (const std::string& folder : looked) where += "\nlooked in " + folder;
    for (const std::string& reason : refused) where += "\nrefused: " + reason;
    fail(Exit::usage, "unknown component '", name, "'.", known_names("names", name, names), where);
  }
  return 0;
}

}  // namespace foil
