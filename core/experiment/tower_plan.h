// SPDX-License-Identifier: BSD-3-Clause
// The tables [encoder], [head], [predictor] and [model] and their sub-tables -> Plan::tower and Plan::towers.
#pragma once

#include "experiment/tables.h"

namespace foil {

// Throws Error (Exit::usage) with the place of what is wrong.
void read_towers(Tables& tables, const FindComponent& find, Plan& plan);

}  // namespace foil
