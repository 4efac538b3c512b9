// SPDX-License-Identifier: BSD-3-Clause
// The conformance tests: what every loss must hold, whatever its formula, tried on tiny data under option sets that its describe()
// gives. One function an item; plugins/README.md says what each guards against.
#pragma once

#include "findings.h"
#include "host.h"
#include "option_sets.h"

namespace foil::conformance {

// A loss under test and the option sets for it.
struct Subject {
  const Component& loss;
  std::vector<Option> options;
  OptionSets sets;
};

// What describe() says (described.cpp).
void options_are_described(const Subject& subject, Item& item);
void ranges_are_enforced(const Subject& subject, Item& item);

// Of one step (steps.cpp).
void needs_are_honest(const Subject& subject, Item& item);
void labels_of_none_are_kept(const Subject& subject, Item& item);
void gradient_is_the_derivative(const Subject& subject, Item& item);
void order_of_samples_is_nothing(const Subject& subject, Item& item);
void extremes_stay_finite(const Subject& subject, Item& item);
void precision_is_that_of_the_inputs(const Subject& subject, Item& item);
void micro_batches_equal_the_whole(const Subject& subject, Item& item);
void draws_are_keyed(const Subject& subject, Item& item);
void cuda_equals_cpu(const Subject& subject, Item& item);

// Of several steps (states.cpp).
void ranks_equal_one(const Subject& subject, Item& item);
void resume_is_exact(const Subject& subject, Item& item);
void state_is_registered(const Subject& subject, Item& item);
void evaluation_changes_nothing(const Subject& subject, Item& item);

struct Report {
  std::vector<Item> items;
  size_t option_sets = 0;
  std::vector<std::string> refused;  // option sets that the loss refused
  bool passed() const;
  bool skipped() const;  // every item
  const Item& item(const std::string& name) const;
  std::string text(const std::string& title) const;
};

// Runs every item, or the one that is named; what an item throws is its failure. Throws Error (Exit::usage) for an unknown name.
Report test(const Component& loss, const std::string& item = "");

}  // namespace foil::conformance
