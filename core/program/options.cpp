// SPDX-License-Identifier: BSD-3-Clause
// What each verb takes on the command line.
#include "program/options.h"

#include <CLI/CLI.hpp>

namespace foil {

void add_options(CLI::App& verb, TrainOptions& options) {
  verb.add_option("FILE", options.file, "experiment file")->required();
  verb.add_option("--nproc", options.nproc, "start this many ranks on this machine")
      ->check(CLI::Range(1, 1024));
  verb.add_option("--trial", options.trial, "which trial of a file with [sweep]; the first one");
  verb.add_flag("--restart", options.restart, "begin anew; an existing run folder is kept aside");
}

void add_options(CLI::App& verb, EvaluateCommand& options) {
  verb.add_option("RUN", options.run, "run folder")->required();
  verb.add_option("--checkpoint", options.checkpoint, "a checkpoint of it; the newest");
  verb.add_option("--out", options.out, "file of the numbers; evaluation-stepN.json in RUN");
}

void add_options(CLI::App& verb, AblateOptions& options) {
  verb.add_option("FILE", options.file, "experiment file with [sweep]")->required();
  verb.add_flag("--dry-run", options.dry_run, "list the trials and an estimate");
  CLI::Option* restart =
      verb.add_flag("--restart", options.restart, "begin the study anew; its folder is kept aside");
  verb.add_flag("--join", options.join, "run the study together with others that are given --join")
      ->excludes(restart);
  verb.add_flag("--slurm", options.slurm, "print the script of a Slurm array that does so")
      ->excludes(restart);
  verb.add_option("--nproc", options.nproc, "ranks of each trial")->check(CLI::Range(1, 1024));
  verb.add_option("--parallel", options.parallel, "trials at a time, which share the cores of this machine")
      ->check(CLI::Range(1, 1024));
  verb.add_option("--per-gpu", options.per_gpu, "of trials at a time, how many may share a CUDA device")
      ->check(CLI::Range(1, 1024));
  verb.footer(
      "[sweep] of FILE:\n"
      "  seeds = 3\n"
      "      run.seed and the two that follow it; or a list\n"
      "  grid = { \"loss.name\" = [\"infonce\", \"dcl\"], \"loss.temperature\" = [0.1, 0.5] }\n"
      "      every combination: four variants\n"
      "  zip = { \"loss.name\" = [\"infonce\", \"dcl\"], \"loss.temperature\" = [0.1, 0.5] }\n"
      "      side by side: two variants\n"
      "  ablate = { \"loss.temperature\" = [0.1, 0.5], \"head.kind\" = [\"linear\"] }\n"
      "      one key at a time around the experiment as it stands: four variants\n"
      "  random = { n = 20, \"loss.temperature\" = { low = 0.01, high = 1, log = true } }\n"
      "      drawn, the same for the same `seed` in it\n"
      "  exclude = [{ \"loss.name\" = \"dcl\", \"loss.temperature\" = 0.5 }]\n"
      "      combinations that are left out\n"
      "  prune = \"median\"\n"
      "      stops a trial that falls behind the median of those that are complete\n"
      "  files = [\"a.toml\", \"b.toml\"]\n"
      "      the sweeps of these files");
}

void add_options(CLI::App& verb, RunsOptions& options) {
  verb.add_option("FOLDER", options.folder, "where to look; runs");
  verb.add_option("--where", options.where,
                  "'KEY = VALUE', also != < >: a value of the experiment; may be repeated")
      ->allow_extra_args(false);
  verb.add_flag("--best", options.best, "only the best run of each data set and protocol");
  verb.add_option("--format", options.format, "table or json")->check(CLI::IsMember({"table", "json"}));
}

void add_options(CLI::App& verb, ExportOptions& options) {
  verb.add_option("RUN", options.run, "run folder")->required();
  verb.add_option("--layout", options.layout,
                  "torchvision, timm or safetensors; the first of them that fits");
  verb.add_option("--out", options.out, "folder to write, which must not exist; RUN/export");
  verb.add_option("--checkpoint", options.checkpoint, "a checkpoint of it; the newest");
  verb.add_option("--tower", options.tower, "of several encoders, the one of this name");
}

}  // namespace foil
