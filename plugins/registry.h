// SPDX-License-Identifier: BSD-3-Clause
// Registry: every component by kind and name, where it came from, and which libraries were refused and why.
#pragma once

#include <foil/component.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace foil {

class Registry {
 public:
  // The one registry of the process. Never destroyed: plugins stay loaded for ever.
  static Registry& instance();

  // Registers the components that `enter` names; all or none. A name that is taken throws, naming both libraries.
  void enter(const std::string& origin, const std::function<void(Plugin&)>& enter);

  // Throws Error (Exit::usage) starting with `place` and ending with the nearest name.
  const Component& find(const std::string& kind, const std::string& name, const std::string& place) const;
  std::vector<std::string> names(const std::string& kind) const;
  std::vector<const Component*> all() const;

 private:
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Component>> components_;
};

}  // namespace foil
