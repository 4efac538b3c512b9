// SPDX-License-Identifier: BSD-3-Clause
// Registry: every component by kind and name, and where it came from.
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

  // Registers the components that `enter` names; all or none. A name that is taken throws, naming both
  // libraries. `about`: what the origin says of itself.
  void enter(const std::string& origin, const std::function<void(Plugin&)>& enter,
             const std::string& about = "");
  void add(const std::string& origin, std::vector<Component> components);

  // Throws Error (Exit::usage) starting with `place` and ending with the nearest name.
  const Component& find(const std::string& kind, const std::string& name, const std::string& place) const;
  std::vector<std::string> names(const std::string& kind) const;
  std::vector<const Component*> all() const;
  // Whether something of this origin is registered.
  bool knows(const std::string& origin) const;
  // The text that a library carries about its components: the comment at the head of its source; empty when
  // it carries none.
  std::string about(const std::string& origin) const;

 private:
  std::map<std::pair<std::string, std::string>, std::unique_ptr<Component>> components_;
  std::map<std::string, std::string> about_;  // by origin
};

}  // namespace foil
