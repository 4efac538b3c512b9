// SPDX-License-Identifier: BSD-3-Clause
// Component: what can be chosen by name in an experiment file: its options and how to make it.
#pragma once

#include <foil/augmentation.h>
#include <foil/dataset.h>
#include <foil/encoder.h>
#include <foil/fields.h>
#include <foil/loss.h>
#include <foil/sampler.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace foil {

// What a component adds to the conformance tests that every one of its kind gets (plugins/README.md).
struct Conformance {
  struct Wider {
    std::string item;    // as in the report: "precision"
    double factor;       // the tolerance of the item is this many times the kit's
    std::string reason;  // why that is right; the report prints it
  };
  std::vector<std::string> samples =
      {};  // further option sets as TOML, beyond those that describe() gives: "temperature = 0.3"
  std::vector<Wider> wider = {};
};

// What the registry holds of one; plugins do not fill it in, Plugin does.
struct Component {
  std::string kind;                       // "loss", "encoder", "augmentation", "data set", "sampler"
  std::string name;                       // as in `name = "..."`
  std::string origin;                     // the file it came from; "built in"
  std::function<void(Fields&)> describe;  // visits the options with their defaults
  std::function<std::shared_ptr<void>(Fields&)>
      make;  // reads the options, then constructs; a pointer to the interface of `kind`
  Conformance conformance = {};
};

namespace detail {
template <class Interface, class T>
Component component(const char* kind, const char* name, Conformance conformance) {
  static_assert(std::is_base_of_v<Interface, T>,
                "a component derives from the interface it is registered for");
  return {kind,
          name,
          "built in",
          [](Fields& fields) {
            typename T::Options options;
            options.describe(fields);
          },
          [](Fields& fields) -> std::shared_ptr<void> {
            typename T::Options options;
            options.describe(fields);
            return std::static_pointer_cast<Interface>(std::make_shared<T>(std::move(options)));
          },
          std::move(conformance)};
}
}  // namespace detail

// Where components are registered, once, while the library is loaded. A component class T has `struct Options
// { ...; void describe(Fields&); }` and a constructor T(Options), which throws Error (Exit::usage) for
// options that contradict each other. `name` is what `name = "..."` in an experiment says: lower-case words
// joined by '_', unique among the components of its kind: a name that is taken refuses the whole library.
class FOIL_API Plugin {
 public:
  template <class T>
  void loss(const char* name, Conformance conformance = {}) {
    add(detail::component<Loss, T>("loss", name, std::move(conformance)));
  }
  template <class T>
  void encoder(const char* name, Conformance conformance = {}) {
    add(detail::component<Encoder, T>("encoder", name, std::move(conformance)));
  }
  template <class T>
  void augmentation(const char* name, Conformance conformance = {}) {
    add(detail::component<Augmentation, T>("augmentation", name, std::move(conformance)));
  }
  template <class T>
  void dataset(const char* name, Conformance conformance = {}) {
    add(detail::component<Dataset, T>("data set", name, std::move(conformance)));
  }
  template <class T>
  void sampler(const char* name, Conformance conformance = {}) {
    add(detail::component<Sampler, T>("sampler", name, std::move(conformance)));
  }
  virtual ~Plugin() = default;

 protected:
  virtual void add(Component component) = 0;
};

}  // namespace foil
