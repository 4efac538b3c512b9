// SPDX-License-Identifier: BSD-3-Clause
// Components by kind and name; a library enters whole or not at all.
#include "registry.h"

#include "name_taken.h"

namespace foil {
namespace {

// Collects what one library registers.
class Collector final : public Plugin {
 public:
  std::vector<Component> components;

 protected:
  void add(Component component) override { components.push_back(std::move(component)); }
};

}  // namespace

Registry& Registry::instance() {
  static Registry* registry = new Registry;
  return *registry;
}

void Registry::enter(const std::string& origin, const std::function<void(Plugin&)>& enter,
                     const std::string& about) {
  Collector collector;
  enter(collector);
  add(origin, std::move(collector.components));
  if (!about.empty()) about_[origin] = about;
}

void Registry::add(const std::string& origin, std::vector<Component> components) {
  for (size_t i = 0; i < components.size(); ++i) {
    const Component& c = components[i];
    const auto taken = components_.find({c.kind, c.name});
    if (taken != components_.end()) {
      throw NameTaken(origin + ": the " + c.kind + " '" + c.name + "' is already registered by " +
                          taken->second->origin + ".",
                      Exit::plugin);
    }
    for (size_t j = 0; j < i; ++j) {
      if (components[j].kind == c.kind && components[j].name == c.name) {
        fail(Exit::plugin, origin, ": registers the ", c.kind, " '", c.name, "' twice.");
      }
    }
  }
  for (Component& c : components) {
    c.origin = origin;
    const std::pair key{c.kind, c.name};
    components_[key] = std::make_unique<Component>(std::move(c));
  }
}

const Component& Registry::find(const std::string& kind, const std::string& name,
                                const std::string& place) const {
  const auto it = components_.find({kind, name});
  if (it == components_.end())
    fail(Exit::usage, place, ": unknown ", kind, " '", name, "'.", known_names("names", name, names(kind)));
  return *it->second;
}

std::vector<std::string> Registry::names(const std::string& kind) const {
  std::vector<std::string> out;
  for (const auto& [key, component] : components_) {
    if (key.first == kind) out.push_back(key.second);
  }
  return out;
}

std::vector<const Component*> Registry::all() const {
  std::vector<const Component*> out;
  for (const auto& [key, component] : components_) out.push_back(component.get());
  return out;
}

bool Registry::knows(const std::string& origin) const {
  for (const auto& [key, component] : components_) {
    if (component->origin == origin) return true;
  }
  return false;
}

std::string Registry::about(const std::string& origin) const {
  const auto it = about_.find(origin);
  return it == about_.end() ? "" : it->second;
}

}  // namespace foil
