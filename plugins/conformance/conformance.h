// SPDX-License-Identifier: BSD-3-Clause
// The conformance tests: what every component of a kind must hold, whatever it computes, tried on tiny data
// under option sets that its describe() gives. One function an item; plugins/README.md says what each guards
// against.
#pragma once

#include "findings.h"
#include "host.h"
#include "option_sets.h"

namespace foil::conformance {

// A component under test and the option sets for it.
struct Subject {
  const Component& component;
  std::vector<Option> options;
  OptionSets sets;
};

// What describe() says (described.cpp).
void options_are_described(const Subject& subject, Item& item);
void ranges_are_enforced(const Subject& subject, Item& item);

struct Check {
  const char* item;
  void (*run)(const Subject& subject, Item& item);
  bool decides = false;  // when it fails, the items after it would only show consequences, and are not run
};

// The items of a kind behind "describe" and "ranges", in the order of the report; each in the file of its
// name.
std::vector<Check> loss_checks();          // losses.cpp, steps.cpp, states.cpp
std::vector<Check> encoder_checks();       // encoders.cpp
std::vector<Check> augmentation_checks();  // augmentations.cpp
std::vector<Check> dataset_checks();       // datasets.cpp
std::vector<Check> sampler_checks();       // samplers.cpp

struct Report {
  std::vector<Item> items;
  size_t option_sets = 0;
  std::vector<std::string> notes;  // option sets that were refused, options that were made smaller
  bool passed() const;
  bool skipped() const;  // every item
  const Item& item(const std::string& name) const;
  std::string text(const std::string& title) const;
};

// Runs every item of the component's kind, or the one that is named; what an item throws is its failure.
// `given`: options that hold in every option set, such as the path of a data set. Throws Error (Exit::usage)
// for an unknown name.
Report test(const Component& component, const std::string& item = "", const Node& given = {});

// The items that components of this kind have; Error (Exit::usage) for a kind that there is not.
std::vector<std::string> items_of(const std::string& kind);

}  // namespace foil::conformance
