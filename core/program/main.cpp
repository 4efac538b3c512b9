// SPDX-License-Identifier: BSD-3-Clause
// The program: its command line, its plugins, its exit codes. What the verbs do is in commands.h.
#include "config/load.h"
#include "config/sweep.h"
#include "data/builtin.h"
#include "experiment/plugin_paths.h"
#include "plugins/commands.h"
#include "plugins/folders.h"
#include "program/commands.h"
#include "program/environment.h"
#include "run/text.h"

#include <CLI/CLI.hpp>
#include <c10/util/Logging.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <sstream>

namespace {

// The first rank of its machine, or no rank.
bool is_first_here() {
  const char* local_rank = std::getenv("LOCAL_RANK");
  return !local_rank || !std::getenv("WORLD_SIZE") || std::string(local_rank) == "0";
}

// Whether this process speaks for the ranks of its machine: the one that started them has spoken, else the
// first of them does.
bool speaks() { return !std::getenv("FOIL_LAUNCHER") && is_first_here(); }

// Every plugin found, and what to say of those refused when a name is not found.
class Plugins {
 public:
  // From the folders of the command line.
  explicit Plugins(std::vector<std::string> folders) : folders_(std::move(folders)) {}
  // From the folders that an experiment names, which must be there.
  void name(const std::vector<foil::PluginPath>& paths) {
    for (const foil::PluginPath& path : paths) {
      if (const std::string reason = foil::no_such_folder(path.folder); !reason.empty())
        foil::fail(foil::Exit::usage, path.place, ": ", reason);
      folders_.push_back(path.folder);
    }
  }
  // From those that the record of a run names, where it may.
  void name_recorded(const std::string& record, const std::vector<foil::PluginPath>& paths, bool trust,
                     bool quiet) {
    std::vector<foil::NamedFolder> named;
    for (const foil::PluginPath& path : paths) {
      if (path.in_file)
        named.push_back({path.folder, path.place, path.given.starts_with("/")});
      else
        name({path});
    }
    for (const std::string& folder : foil::folders_of_record(record, named, trust, refused_)) {
      if (!quiet && speaks())
        std::fprintf(stderr, "%s: plugins are loaded from %s\n", record.c_str(), folder.c_str());
      folders_.push_back(folder);
    }
  }
  void load(bool trust) {
    foil::Registry& registry = foil::Registry::instance();
    registry.enter("built in", foil::register_builtin_data);
    for (const std::string& missing : foil::missing_plugin_folders()) {
      if (speaks()) std::fprintf(stderr, "warning: %s\n", missing.c_str());
    }
    for (const foil::Refused& one : foil::load_plugins(foil::plugin_folders(folders_), registry, trust)) {
      if (one.name_taken && speaks()) std::fprintf(stderr, "warning: not loaded: %s\n", one.reason.c_str());
      refused_.push_back(one);
    }
  }
  int describe(const std::string& name) const {
    std::vector<std::string> reasons;
    for (const foil::Refused& refused : refused_) reasons.push_back(refused.reason);
    return foil::describe_command(foil::Registry::instance(), name, foil::plugin_folders(folders_), reasons);
  }
  foil::FindComponent finder() const {
    return [this](const std::string& kind, const std::string& name,
                  const std::string& place) -> const foil::Component& {
      try {
        return foil::Registry::instance().find(kind, name, place);
      } catch (const foil::Error& error) {
        if (refused_.empty()) throw;
        std::string text = error.what();
        for (const foil::Refused& refused : refused_) text += "\nrefused: " + refused.reason;
        throw foil::Error(text, foil::Exit::plugin);
      }
    };
  }

 private:
  std::vector<std::string> folders_;
  std::vector<foil::Refused> refused_;
};

// Makes the standard streams safe to write to: one that is closed leads to /dev/null, so that no file of a
// run takes its place, and a reader that goes away (`foil train ... | head -1`) ends nothing. Before any file
// is opened.
void guard_standard_streams() {
  for (int stream = 0; stream <= 2; ++stream) {
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF)
      ::open("/dev/null", O_RDWR);  // takes the lowest number that is free
  }
  ::signal(SIGPIPE, SIG_IGN);
}

int run(int argc, char** argv) {
  CLI::App app{"foil: research on contrastive losses"};
  app.require_subcommand(1);
  app.set_version_flag("--version", foil::version_text());
  app.failure_message(CLI::FailureMessage::simple);
  foil::TrainOptions train;
  foil::EvaluateCommand evaluate;
  foil::AblateOptions ablate;
  foil::CompareOptions compare;
  foil::CommonOptions common;
  std::string file, trial, name;
  std::vector<std::string> paths;
  bool trust = false, verbose = false;

  const auto trusting = [&](CLI::App* verb) {
    verb->add_flag("--trust", trust, "load plugins that others may write");
    verb->add_option("--plugins", paths,
                     "DIR: a further folder of plugins, the first to be looked in; may be repeated")
        ->check(CLI::ExistingDirectory)
        ->allow_extra_args(false);
  };

  const auto shared = [&](CLI::App* verb) {
    verb->add_option("--set", common.sets, "KEY=VALUE: overrides the file and the sweep; may be repeated")
        ->allow_extra_args(false);
    verb->add_option("--device", common.device, "cpu or cuda; cuda where there is one")
        ->check(CLI::IsMember({"cpu", "cuda"}));
    verb->add_flag("--quiet", common.quiet, "no progress and no log");
    verb->add_flag("--verbose", verbose, "also LibTorch's own log");
    trusting(verb);
  };
  CLI::App* on_train = app.add_subcommand("train", "train one experiment, or go on with it");
  on_train->add_option("FILE", file, "experiment file")->required();
  on_train->add_option("--nproc", train.nproc, "start this many ranks on this machine")
      ->check(CLI::Range(1, 1024));
  on_train->add_option("--trial", trial, "which trial of a file with [sweep]; the first one");
  on_train->add_flag("--restart", train.restart, "begin anew; an existing run folder is kept aside");
  shared(on_train);
  CLI::App* on_evaluate = app.add_subcommand("evaluate", "evaluate a checkpoint of a run");
  on_evaluate->add_option("RUN", evaluate.run, "run folder")->required();
  on_evaluate->add_option("--checkpoint", evaluate.checkpoint, "a checkpoint of it; the newest");
  on_evaluate->add_option("--out", evaluate.out, "file of the numbers; evaluation-stepN.json in RUN");
  shared(on_evaluate);
  CLI::App* on_ablate = app.add_subcommand("ablate", "run every trial of a sweep, then compare");
  on_ablate->add_option("FILE", file, "experiment file with [sweep]")->required();
  on_ablate->add_flag("--dry-run", ablate.dry_run, "list the trials and an estimate");
  on_ablate->add_flag("--restart", ablate.restart, "begin the study anew; its folder is kept aside");
  on_ablate->footer(
      "[sweep] of FILE:\n"
      "  seeds = 3\n"
      "      run.seed and the two that follow it; or a list\n"
      "  grid = { \"loss.name\" = [\"infonce\", \"dcl\"], \"loss.temperature\" = [0.1, 0.5] }\n"
      "      every combination: four variants\n"
      "  zip = { \"loss.name\" = [\"infonce\", \"dcl\"], \"loss.temperature\" = [0.1, 0.5] }\n"
      "      side by side: two variants\n"
      "  files = [\"a.toml\", \"b.toml\"]\n"
      "      the sweeps of these files");
  on_ablate->add_option("--nproc", ablate.nproc, "ranks of each trial")->check(CLI::Range(1, 1024));
  shared(on_ablate);
  CLI::App* on_compare = app.add_subcommand("compare", "compare runs and studies");
  on_compare->add_option("DIR", compare.folders, "run or study folders")->required();
  on_compare->add_option("--format", compare.format, "table, csv, json or markdown");
  on_compare->add_option("--reference", compare.reference,
                         "variant that the others are tested against; the first one");
  on_compare->add_option("--report", compare.report, "folder for report.html");
  CLI::App* on_config =
      app.add_subcommand("config", "print the resolved experiment with the origin of every value");
  on_config->add_option("FILE", file, "experiment file")->required();
  on_config->add_option("--trial", trial, "which trial of a file with [sweep]; the first one");
  shared(on_config);
  CLI::App* on_plugins =
      app.add_subcommand("plugins", "list what can be chosen by name, and what was refused and why");
  trusting(on_plugins);
  CLI::App* on_describe = app.add_subcommand("describe", "print what a component is, needs and allows");
  on_describe->add_option("NAME", name, "of a loss, encoder, augmentation, data set or sampler")->required();
  trusting(on_describe);
  foil::NewOptions made;
  CLI::App* on_new = app.add_subcommand("new", "write a plugin of your own: source, test, experiment, build");
  on_new->add_option("KIND", made.kind, "loss, encoder, augmentation, dataset or sampler")
      ->required()
      ->check(CLI::IsMember({"loss", "encoder", "augmentation", "dataset", "sampler"}));
  on_new->add_option("NAME", made.name, "of the component, like my_loss")->required();
  on_new->add_option("DIR", made.folder, "folder to write, which must not exist")->required();
  on_new->add_option("--with", made.with, "state, queue or kernel: what a loss begins with")
      ->check(CLI::IsMember({"state", "queue", "kernel"}));
  trusting(on_new);
  foil::ScoreOptions score;
  CLI::App* on_score =
      app.add_subcommand("score", "the value and the gradients of a loss on saved embeddings");
  on_score->add_option("LOSS", score.loss, "its name")->required();
  on_score
      ->add_option("FILE", score.file,
                   "safetensors: z.0, z.1, ... [B, D], and what `foil describe LOSS` says it needs")
      ->required();
  on_score->footer(
      "Tensors of FILE, floats of one type:\n"
      "  z.0, z.1, ...            [B, D]     projections, a view each\n"
      "  p.0, p.1, ...            [B, D]     the predictor on each view\n"
      "  target.0, target.1, ...  [B, D]     projections by the momentum encoder\n"
      "  queue.0, ...             [K, D]     earlier rows of z or target, K as the options of the loss say\n"
      "  label, index             int64 [B]\n"
      "`foil describe LOSS` says what a loss needs; the rest may be missing and is ignored. The gradients "
      "are grad.z.0, ..., "
      "grad.p.0,\n"
      "..., and grad.NAME of the loss's own parameters.");
  on_score->add_option("--set", score.sets, "KEY=VALUE: an option of the loss; may be repeated")
      ->allow_extra_args(false);
  on_score
      ->add_option("--dataset-size", score.dataset_size,
                   "rows of the data set, for a loss that keeps state per sample")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  on_score->add_option("--out", score.out, "file of the gradients; FILE.gradients.safetensors");
  on_score->add_option("--device", score.device, "cpu or cuda; cuda where there is one")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  trusting(on_score);
  CLI::App* on_doctor =
      app.add_subcommand("doctor", "versions, devices, places, and what is wrong with them");
  trusting(on_doctor);
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands({})) verbs.push_back(verb->get_name());
  if (argc > 1 && argv[1][0] != '-' && std::find(verbs.begin(), verbs.end(), argv[1]) == verbs.end()) {
    foil::fail(foil::Exit::usage, "unknown verb '", argv[1], "'.",
               foil::known_names("verbs", argv[1], verbs));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, wrong;  // which may repeat arguments as they came
    const int code = app.exit(error, out, wrong);
    std::printf("%s", out.str().c_str());
    std::fprintf(stderr, "%s", foil::printable_lines(wrong.str()).c_str());
    return code == 0 ? 0 : static_cast<int>(foil::Exit::usage);
  }
  if (!verbose) ::setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
  c10::initLogging();  // LibTorch reads the variable here only
  if (*on_plugins) return foil::plugins_command({foil::plugin_folders(paths), trust});
  if (*on_doctor) return foil::doctor_command({foil::plugin_folders(paths), trust});

  Plugins plugins(paths);
  if (*on_train || *on_ablate || *on_config) {
    for (const foil::Trial& one : foil::load_trials(file, common.sets))
      plugins.name(foil::named_plugin_paths(one.root));
  }
  if (*on_evaluate) {
    foil::require_run(evaluate.run);
    const std::string record = evaluate.run + "/config.resolved.toml";
    plugins.name_recorded(record, foil::named_plugin_paths(foil::load_experiment(record, common.sets)), trust,
                          common.quiet);
  }
  plugins.load(trust);
  common.find = plugins.finder();
  if (*on_train) {
    static_cast<foil::CommonOptions&>(train) = common;
    train.file = file;
    train.trial = trial;
    train.arguments.assign(argv, argv + argc);
    return foil::train_command(train);
  }
  if (*on_evaluate) {
    static_cast<foil::CommonOptions&>(evaluate) = common;
    return foil::evaluate_command(evaluate);
  }
  if (*on_ablate) {
    static_cast<foil::CommonOptions&>(ablate) = common;
    ablate.file = file;
    for (const std::string& set : common.sets)
      ablate.passed_on.insert(ablate.passed_on.end(), {"--set", set});
    if (!common.device.empty()) ablate.passed_on.insert(ablate.passed_on.end(), {"--device", common.device});
    if (common.quiet) ablate.passed_on.push_back("--quiet");
    if (trust) ablate.passed_on.push_back("--trust");
    for (const std::string& path : paths)
      ablate.passed_on.insert(ablate.passed_on.end(), {"--plugins", path});
    return foil::ablate_command(ablate);
  }
  if (*on_compare) return foil::compare_command(compare);
  if (*on_config) return foil::config_command(common, file, trial);
  if (*on_new) return foil::new_command(foil::Registry::instance(), made);
  if (*on_score) return foil::score_command(foil::Registry::instance(), score);
  return plugins.describe(name);
}

// The reader of stdout wants no more: `foil compare ... | head`.
bool reader_has_gone() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP));
}

// The exit code once everything is printed. What could not be is lost, unless nobody wanted it; only where
// printing is all that a verb does has the verb failed with it.
int after_printing(int code, const std::string& verb) {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout);
  if (!failed || reader_has_gone()) return code;
  std::fprintf(stderr, "stdout: could not be written; what was to be printed is lost\n");
  const bool keeps_files = verb == "train" || verb == "ablate" || verb == "evaluate" || verb == "new";
  return code == 0 && !keeps_files ? static_cast<int>(foil::Exit::failure) : code;
}

}  // namespace

int main(int argc, char** argv) {
  guard_standard_streams();
  foil::keep_freed_memory();
  try {
    return after_printing(run(argc, argv), argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    // What fails before the ranks have met fails on all of a machine: one says it.
    return foil::report_failure(error, is_first_here());
  }
}
