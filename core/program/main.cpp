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
#include "program/options.h"
#include "program/streams.h"
#include "run/text.h"

#include <CLI/CLI.hpp>
#include <c10/util/Logging.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdio>
#include <functional>
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
  void name(const std::vector<std::string>& folders) {
    folders_.insert(folders_.end(), folders.begin(), folders.end());
  }
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
        name(std::vector<foil::PluginPath>{path});
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

// The verbs, a method each: its options and what it does.
class CommandLine {
 public:
  CommandLine() {
    app_.require_subcommand(1);
    app_.set_version_flag("--version", foil::version_text());
    app_.failure_message(CLI::FailureMessage::simple);
    add_train();
    add_evaluate();
    add_ablate();
    add_compare();
    add_runs();
    add_export();
    add_config();
    add_plugins();
    add_describe();
    add_new();
    add_score();
    add_doctor();
  }

  int run(int argc, char** argv) {
    arguments_.assign(argv, argv + argc);
    refuse_unknown_verb();
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      std::ostringstream out, wrong;  // which may repeat arguments as they came
      const int code = app_.exit(error, out, wrong);
      std::printf("%s", out.str().c_str());
      std::fprintf(stderr, "%s", foil::printable_lines(wrong.str()).c_str());
      return code == 0 ? 0 : static_cast<int>(foil::Exit::usage);
    }
    if (!verbose_) ::setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
    c10::initLogging();  // LibTorch reads the variable here only
    return action_();
  }

 private:
  void refuse_unknown_verb() const {
    std::vector<std::string> verbs;
    for (const CLI::App* verb : app_.get_subcommands({})) verbs.push_back(verb->get_name());
    if (arguments_.size() < 2 || arguments_[1].starts_with("-")) return;
    if (std::find(verbs.begin(), verbs.end(), arguments_[1]) == verbs.end())
      foil::fail(foil::Exit::usage, "unknown verb '", arguments_[1], "'.",
                 foil::known_names("verbs", arguments_[1], verbs));
  }

  CLI::App* add(const char* name, const char* description, std::function<int()> action) {
    CLI::App* verb = app_.add_subcommand(name, description);
    verb->callback([this, action = std::move(action)] { action_ = action; });
    return verb;
  }

  // Options that several verbs have.
  void add_plugin_options(CLI::App* verb) {
    verb->add_flag("--trust", trust_, "load plugins that others may write");
    verb->add_option("--plugins", paths_,
                     "DIR: a further folder of plugins, the first to be looked in; may be repeated")
        ->check(CLI::ExistingDirectory)
        ->allow_extra_args(false);
  }
  static void add_device(CLI::App* verb, std::string& device) {
    verb->add_option("--device", device, "cpu or cuda; cuda where there is one")
        ->check(CLI::IsMember({"cpu", "cuda"}));
  }
  void add_common(CLI::App* verb, foil::CommonOptions& options) {
    verb->add_option("--set", options.sets, "KEY=VALUE: overrides the file and the sweep; may be repeated")
        ->allow_extra_args(false);
    add_device(verb, options.device);
    verb->add_flag("--quiet", options.quiet, "no progress and no log");
    verb->add_flag("--verbose", verbose_, "also LibTorch's own log");
    add_plugin_options(verb);
  }

  // The plugins of the command line; and those that an experiment file names.
  void load_plugins() {
    plugins_.name(paths_);
    plugins_.load(trust_);
  }
  void load_plugins_of(const std::string& file, foil::CommonOptions& options) {
    plugins_.name(paths_);
    for (const foil::Trial& one : foil::load_trials(file, options.sets))
      plugins_.name(foil::named_plugin_paths(one.root));
    plugins_.load(trust_);
    options.find = plugins_.finder();
  }

  void add_train() {
    CLI::App* verb = add("train", "train one experiment, or go on with it", [this] {
      load_plugins_of(train_.file, train_);
      train_.arguments = arguments_;
      return foil::train_command(train_);
    });
    foil::add_options(*verb, train_);
    add_common(verb, train_);
  }

  void add_evaluate() {
    CLI::App* verb = add("evaluate", "evaluate a checkpoint of a run", [this] {
      foil::require_run(evaluate_.run);
      plugins_.name(paths_);
      const std::string record = evaluate_.run + "/config.resolved.toml";
      plugins_.name_recorded(record, foil::named_plugin_paths(foil::load_experiment(record, evaluate_.sets)),
                             trust_, evaluate_.quiet);
      plugins_.load(trust_);
      evaluate_.find = plugins_.finder();
      return foil::evaluate_command(evaluate_);
    });
    foil::add_options(*verb, evaluate_);
    add_common(verb, evaluate_);
  }

  // The options of this command line that its trials get too.
  std::vector<std::string> passed_on() const {
    std::vector<std::string> all;
    for (const std::string& set : ablate_.sets) all.insert(all.end(), {"--set", set});
    if (!ablate_.device.empty()) all.insert(all.end(), {"--device", ablate_.device});
    if (ablate_.quiet) all.push_back("--quiet");
    if (trust_) all.push_back("--trust");
    for (const std::string& path : paths_) all.insert(all.end(), {"--plugins", path});
    return all;
  }

  void add_ablate() {
    CLI::App* verb = add("ablate", "run every trial of a sweep, then compare", [this] {
      load_plugins_of(ablate_.file, ablate_);
      ablate_.passed_on = passed_on();
      return foil::ablate_command(ablate_);
    });
    foil::add_options(*verb, ablate_);
    add_common(verb, ablate_);
  }

  void add_compare() {
    CLI::App* verb = add("compare", "compare runs and studies", [this] {
      load_plugins();
      return foil::compare_command(compare_);
    });
    verb->add_option("DIR", compare_.folders, "run or study folders")->required();
    verb->add_option("--format", compare_.format, "table, csv, json, markdown or latex");
    verb->add_option("--reference", compare_.reference,
                     "variant that the others are tested against; the first one");
    CLI::Option* const report = verb->add_option(
        "--report", compare_.report, "folder for report.html, its pictures, table.tex and table.md");
    verb->add_flag("--png", compare_.png, "the pictures as PNG, too, by rsvg-convert")->needs(report);
  }

  void add_runs() {
    foil::add_options(*add("runs", "list the runs below a folder, the newest first",
                           [this] { return foil::runs_command(runs_); }),
                      runs_);
  }

  void add_export() {
    foil::add_options(*add("export", "write the encoder of a run for Python, with a model card",
                           [this] { return foil::export_command(export_); }),
                      export_);
  }

  void add_config() {
    CLI::App* verb = add("config", "print the resolved experiment with the origin of every value", [this] {
      load_plugins_of(train_.file, train_);
      return foil::config_command(train_, train_.file, train_.trial);
    });
    verb->add_option("FILE", train_.file, "experiment file")->required();
    verb->add_option("--trial", train_.trial, "which trial of a file with [sweep]; the first one");
    add_common(verb, train_);
  }

  void add_plugins() {
    add_plugin_options(
        add("plugins", "list what can be chosen by name, and what was refused and why", [this] {
          return foil::plugins_command({foil::plugin_folders(paths_), trust_});
        }));
  }

  void add_describe() {
    CLI::App* verb = add("describe", "print what a component is, needs and allows", [this] {
      load_plugins();
      return plugins_.describe(name_);
    });
    verb->add_option("NAME", name_, "of a loss, encoder, augmentation, data set or sampler")->required();
    add_plugin_options(verb);
  }

  void add_new() {
    CLI::App* verb = add("new", "write a plugin of your own: source, test, experiment, build", [this] {
      load_plugins();
      return foil::new_command(foil::Registry::instance(), made_);
    });
    verb->add_option("KIND", made_.kind, "loss, encoder, augmentation, dataset or sampler")
        ->required()
        ->check(CLI::IsMember({"loss", "encoder", "augmentation", "dataset", "sampler"}));
    verb->add_option("NAME", made_.name, "of the component, like my_loss")->required();
    verb->add_option("DIR", made_.folder, "folder to write, which must not exist")->required();
    verb->add_option("--with", made_.with, "state, queue, contrast or kernel: what a loss begins with")
        ->check(CLI::IsMember({"state", "queue", "contrast", "kernel"}));
    add_plugin_options(verb);
  }

  void add_score() {
    CLI::App* verb = add("score", "the value and the gradients of a loss on saved embeddings", [this] {
      load_plugins();
      return foil::score_command(foil::Registry::instance(), score_);
    });
    verb->add_option("LOSS", score_.loss, "its name")->required();
    verb->add_option("FILE", score_.file,
                     "safetensors: z.0, z.1, ... [B, D], and what `foil describe LOSS` says it needs")
        ->required();
    verb->footer(
        "Tensors of FILE, floats of one type:\n"
        "  z.0, z.1, ...            [B, D]     projections, a view each\n"
        "  h.0, h.1, ...            [B, F]     features before the head\n"
        "  p.0, p.1, ...            [B, D]     the predictor on each view\n"
        "  target.0, target.1, ...  [B, D]     projections by the momentum encoder\n"
        "  queue.0, ...             [K, D]     earlier rows of z or target, K as the options of the loss "
        "say\n"
        "  queue_label.0, ...       int64 [K]  of the rows of a queue; queue_index.0, ... alike\n"
        "  label, index             int64 [B]\n"
        "`foil describe LOSS` says what a loss needs; the rest may be missing and is ignored. The gradients\n"
        "are grad.z.0, ..., grad.h.0, ..., grad.p.0, ..., and grad.NAME of the loss's own parameters.");
    verb->add_option("--set", score_.sets, "KEY=VALUE: an option of the loss; may be repeated")
        ->allow_extra_args(false);
    verb->add_option("--dataset-size", score_.dataset_size,
                     "rows of the data set, for a loss that keeps state per sample")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
    verb->add_option("--out", score_.out, "file of the gradients; FILE.gradients.safetensors");
    add_device(verb, score_.device);
    add_plugin_options(verb);
  }

  void add_doctor() {
    add_plugin_options(add("doctor", "versions, devices, places, and what is wrong with them", [this] {
      return foil::doctor_command({foil::plugin_folders(paths_), trust_});
    }));
  }

  CLI::App app_{"foil: research on contrastive losses"};
  std::function<int()> action_;
  std::vector<std::string> arguments_, paths_;
  bool trust_ = false, verbose_ = false;
  Plugins plugins_;
  foil::TrainOptions train_;
  foil::EvaluateCommand evaluate_;
  foil::AblateOptions ablate_;
  foil::CompareOptions compare_;
  foil::RunsOptions runs_;
  foil::ExportOptions export_;
  foil::NewOptions made_;
  foil::ScoreOptions score_;
  std::string name_;
};

}  // namespace

int main(int argc, char** argv) {
  foil::guard_standard_streams();
  foil::keep_freed_memory();
  try {
    return foil::after_printing(CommandLine().run(argc, argv), argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    // What fails before the ranks have met fails on all of a machine: one says it.
    return foil::report_failure(error, is_first_here());
  }
}
