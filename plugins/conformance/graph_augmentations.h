// SPDX-License-Identifier: BSD-3-Clause
// The items of an augmentation on graphs, dense and in CSR layout, under each of its option sets. Those of
// one that does not take graphs check nothing.
#pragma once

#include "conformance.h"

namespace foil::conformance::graphs {

// Whether it takes graphs under some option set; `refused` gets what it says under the others.
bool are_taken(const Subject& subject, std::vector<std::string>& refused);

void keep_their_nodes(const Subject& subject, Item& item);
void are_left_alone(const Subject& subject, Item& item);
void of_all_types_are_alike(const Subject& subject, Item& item);
void are_drawn_by_key(const Subject& subject, Item& item);
void are_drawn_by_the_whole_place(const Subject& subject, Item& item);
void do_not_depend_on_the_order_of_edges(const Subject& subject, Item& item);
void are_evaluated_without_draws(const Subject& subject, Item& item);
void stay_finite(const Subject& subject, Item& item);
void on_cuda_are_those_on_the_cpu(const Subject& subject, Item& item);

}  // namespace foil::conformance::graphs
