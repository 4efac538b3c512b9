// SPDX-License-Identifier: BSD-3-Clause
// The verbs of the program that work on experiments and runs. Each returns the exit code; results go to
// stdout, the rest to stderr.
#pragma once

#include "experiment/experiment.h"

#include <optional>
#include <string>
#include <vector>

namespace foil {

// What every verb is given. `device` empty: CUDA where there is one.
struct CommonOptions {
  FindComponent find;
  std::vector<std::string> sets;  // --set KEY=VALUE, later ones win
  std::string device;
  bool quiet = false;
};

struct TrainOptions : CommonOptions {
  std::string file;
  std::string trial;  // of the sweep; empty = the first
  bool restart = false;
  int nproc = 1;
  std::vector<std::string> arguments;  // of the program, to start ranks with
};
int train_command(const TrainOptions& options);

struct EvaluateCommand : CommonOptions {
  std::string run;         // run folder
  std::string checkpoint;  // a file of it; empty = the newest
  std::string out;         // file of the numbers; empty = in the run folder, under the step and what was set
};
// Throws Error (Exit::usage) for a folder that is no run but holds some, naming them, and (Exit::data) for a
// record that is no file.
void require_run(const std::string& folder);
int evaluate_command(const EvaluateCommand& options);

struct AblateOptions : CommonOptions {
  std::string file;
  bool dry_run = false;
  bool restart = false;
  int nproc = 1;
  int parallel = 1;                    // trials at a time
  int per_gpu = 1;                     // of these, on one CUDA device
  bool join = false;                   // other processes run the study, too
  bool slurm = false;                  // print the script of an array that does so
  std::vector<std::string> passed_on;  // arguments for the trials' processes
};
int ablate_command(const AblateOptions& options);

struct CompareOptions {
  std::vector<std::string> folders;
  std::string format = "table";
  std::string reference;  // the variant that the others are tested against; empty = the first
  std::string report;     // folder of report.html; empty = none
  bool png = false;       // its pictures as PNG, too
};
int compare_command(const CompareOptions& options);

struct ExportOptions {
  std::string run;         // run folder
  std::string checkpoint;  // a file of it; empty = the newest
  std::string layout;      // of layouts.h; empty = the published one that fits
  std::string tower;       // of several
  std::string out;         // folder to write, which must not exist; empty = RUN/export
};
int export_command(const ExportOptions& options);

struct RunsOptions {
  std::string folder = "runs";
  std::vector<std::string> where;  // conditions, all of which hold
  bool best = false;
  std::string format = "table";
};
int runs_command(const RunsOptions& options);

// The resolved file with the origin of every value.
int config_command(const CommonOptions& options, const std::string& file, const std::string& trial);

// The one place where an error becomes a line on stderr, torchrun's error file and an exit code, which it
// returns.
int report_failure(const std::exception& error, bool aloud);

}  // namespace foil
