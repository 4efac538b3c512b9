// SPDX-License-Identifier: BSD-3-Clause
// Whatever a folder holds, a run that can be seen is listed, with a word on what of it cannot be read.
#include "program/runs.h"

#include "config/dump.h"
#include "program/same_run.h"
#include "run/file.h"
#include "run/holder.h"
#include "run/run_folder.h"

#include <foil/error.h>

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>

namespace foil {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 32;  // folders inside one another that are looked into

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_run(const fs::path& folder) {
  const auto holds = [&](const char* name) {
    std::error_code ignored;
    return is_there(folder / name) && !fs::is_directory(folder / name, ignored);
  };
  return holds("status") || holds("config.resolved.toml");
}

bool is_study(const fs::path& folder) { return is_there(folder / "study.sqlite"); }

int64_t modified(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 ? about.st_mtime : 0;
}

// "2026-11-21T09:39:00Z" in seconds since 1970; 0 for any other text.
int64_t seconds_of(const std::string& utc) {
  std::tm parts{};
  const char* const end = ::strptime(utc.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return end && *end == '\0' ? ::timegm(&parts) : 0;
}

int64_t bytes_below(const fs::path& folder) {
  int64_t bytes = 0;
  std::error_code error, gone;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (!fs::is_regular_file(at->symlink_status(gone))) continue;
    const auto size = at->file_size(gone);
    if (!gone) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

// What of a run is read; a part that is damaged is left empty and named in the remark.
class Reading {
 public:
  explicit Reading(std::string folder) { run_.folder = std::move(folder); }

  FoundRun read() {
    std::optional<Status> status;
    part([&] { status = read_status(run_.folder); });
    part([&] {
      const std::string record = file("config.resolved.toml");
      if (is_there(record)) run_.experiment = flatten(read_experiment_record(record));
    });
    const bool failed = status && status->state == RunState::failed;
    part([&] {
      const std::string results = file("results.json");
      if (!failed && is_there(results)) run_.results = parse_results(read_record(results), results);
    });
    run_.step = std::max(status ? status->step : 0, steps_made(run_.folder));
    if (run_.results) run_.step = std::max(run_.step, run_.results->step);
    set_state(status);
    run_.changed = status ? seconds_of(status->utc) : 0;
    if (run_.changed == 0) run_.changed = std::max(modified(file("status")), modified(file("results.json")));
    if (run_.changed == 0) run_.changed = modified(file("config.resolved.toml"));
    if (status && status->state == RunState::running)
      run_.changed = std::max(run_.changed, modified(file("metrics.jsonl")));
    run_.bytes = bytes_below(run_.folder);
    return std::move(run_);
  }

 private:
  std::string file(const char* name) const { return run_.folder + "/" + name; }
  void remark(const std::string& text) {
    if (!text.empty()) run_.remark += (run_.remark.empty() ? "" : "; ") + text;
  }
  template <class Read>
  void part(const Read& read) {
    try {
      read();
    } catch (const Error& error) {
      const std::string text = error.what(), own = run_.folder + "/";
      remark(text.starts_with(own) ? text.substr(own.size()) : text);
    }
  }
  void set_state(const std::optional<Status>& status) {
    run_.state = status ? to_string(status->state) : run_.results ? "finished" : "unfinished";
    if (status) remark(status->reason);
    if (status && status->state != RunState::running) return;
    const Holder holder = living_holder(file("lock"), RunLock::Pace().silence);
    if (holder.process != 0) {
      run_.state = to_string(RunState::running);
      remark(text_of(holder));
    } else if (status) {
      run_.state = "killed";
    }
  }

  FoundRun run_;
};

// Looks into folders; what of them is no run is said once, of the outermost.
class Search {
 public:
  FoundRuns below(const std::string& folder) {
    if (!look(folder, 0) && is_study(folder)) found_.left_out.push_back(without_run(folder));
    std::stable_sort(found_.runs.begin(), found_.runs.end(),
                     [](const FoundRun& a, const FoundRun& b) { return a.changed > b.changed; });
    return std::move(found_);
  }

 private:
  static std::string without_run(const fs::path& folder) {
    return folder.string() + (is_study(folder) ? ": a study without the folders of its trials" : ": no run");
  }
  // Whether there is a run at or below the folder, or something was said of it.
  bool look(const fs::path& folder, int depth) {
    if (is_run(folder)) {
      found_.runs.push_back(Reading(folder.string()).read());
      return true;
    }
    std::vector<fs::path> inside;
    std::error_code error, gone;
    for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator();
         at.increment(error)) {
      if (fs::is_directory(at->status(gone))) inside.push_back(at->path());
    }
    if (error) {
      found_.left_out.push_back(folder.string() + ": " + error.message());
      return true;
    }
    std::sort(inside.begin(), inside.end());
    const bool study = is_study(folder);
    bool any = false;
    std::vector<std::string> others;
    for (const fs::path& path : inside) {
      const std::string name = path.filename();
      if (study && (name == "baselines" || name == "claims" || name == "figures")) continue;
      if (fs::is_symlink(path, gone)) {
        others.push_back(path.string() + ": a link");
      } else if (is_kept_aside(name)) {
        others.push_back(path.string() + ": kept aside");
      } else if (depth == kDeepest) {
        others.push_back(path.string() + ": too deep");
      } else if (look(path, depth + 1)) {
        any = true;
      } else {
        others.push_back(without_run(path));
      }
    }
    if (any || depth == 0) found_.left_out.insert(found_.left_out.end(), others.begin(), others.end());
    return any;
  }

  FoundRuns found_;
};

}  // namespace

FoundRuns find_runs(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) fail(Exit::data, folder, ": no such folder");
  std::string path = fs::path(folder).lexically_normal().string();
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  return Search().below(path);
}

std::optional<Headline> headline_of(const TrialResults& results) {
  std::optional<Headline> first;
  for (const auto& [metric, value] : results.metrics) {
    const Measure measure = measure_in(results, metric);
    if (measure.headline && (!first || measure.column < first->measure.column))
      first = {metric, measure, value};
  }
  return first;
}

std::vector<BestRun> best_runs(const std::vector<const FoundRun*>& runs) {
  std::vector<BestRun> all;
  std::map<std::vector<std::string>, size_t> place;  // by data, protocol and metric
  for (const FoundRun* run : runs) {
    const auto headline = run->results ? headline_of(*run->results) : std::nullopt;
    if (!headline || headline->measure.better == Better::neither) continue;
    const auto [at, is_new] =
        place.try_emplace({run->results->data, run->results->protocol, headline->metric}, all.size());
    if (is_new) all.push_back({run, 0});
    BestRun& best = all[at->second];
    ++best.of;
    if (is_better(headline->measure, headline->value, headline_of(*best.run->results)->value)) best.run = run;
  }
  return all;
}

}  // namespace foil
