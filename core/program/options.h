// SPDX-License-Identifier: BSD-3-Clause
// The options of the verbs on experiments that they alone have.
#pragma once

#include "program/commands.h"

namespace CLI {
class App;
}

namespace foil {

void add_options(CLI::App& verb, TrainOptions& options);
void add_options(CLI::App& verb, EvaluateCommand& options);
void add_options(CLI::App& verb, AblateOptions& options);
void add_options(CLI::App& verb, RunsOptions& options);
void add_options(CLI::App& verb, ExportOptions& options);

}  // namespace foil
