// SPDX-License-Identifier: BSD-3-Clause
// Reading an experiment: the file, the files it extends, the overrides of the command line. It does not know
// what the keys mean.
#pragma once

#include "config/node.h"

namespace foil {

// Reads the TOML file `path`. `extends = "base.toml"`, or a list of paths of which later ones win, names
// files relative to the file that says so: their tables merge with its own, everything else is replaced. Then
// each of `sets`, "a.b=VALUE", overrides one value: VALUE is TOML, or, when it is not, a text; missing tables
// and keys are created. [sweep] stays a table. Setting one of run.steps and run.epochs removes the other.
// `place`, "FILE:LINE:COLUMN: ", is where the path was written, for messages. Throws foil::Error (usage).
Node load_experiment(const std::string& path, const std::vector<std::string>& sets = {},
                     const std::string& place = "");

// The overrides alone, each on `root`.
void override_with(Node& root, const std::vector<std::string>& sets);

// "KEY=VALUE" arguments as one table of a file that is not there: {TABLE = {KEY = VALUE}}, whether or not KEY
// begins with "TABLE.".
Node table_of_sets(const std::vector<std::string>& sets, const std::string& table);

// The VALUE of an argument ("--set a.b=VALUE") as TOML, or as a text when it is not: a bare word, a path, a
// date. Throws Error (Exit::usage), led by the argument, where a text, a list or a table is not closed.
Node argument_value(const std::string& value, const std::string& argument);

// The keys of "KEY=VALUE" arguments.
std::vector<std::string> set_keys(const std::vector<std::string>& sets);

}  // namespace foil
