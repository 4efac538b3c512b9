// SPDX-License-Identifier: BSD-3-Clause
// foil_readers READER FOLDER SEED COUNT KEEP: gives one reader COUNT damaged copies of a valid FOLDER, all in
// one process, since LibTorch takes longer to load than most files to be read. A child reads until it dies;
// what it died of belongs to the input that it was at. Inputs that a reader does not survive, or answers in
// raw words, go to KEEP/READER-INPUT. The last line on stdout:
//   READER inputs refused accepted signals hangs raw
// A refusal is a foil::Error in words; raw is any other exception, and words that are a library's own.
#include "config/sweep.h"
#include "data/builtin.h"
#include "experiment/experiment.h"
#include "plugins/commands.h"
#include "plugins/loader.h"
#include "program/commands.h"
#include "run/checkpoint.h"
#include "run/file.h"
#include "run/json.h"
#include "run/metrics.h"
#include "run/run_folder.h"
#include "run/safetensors.h"
#include "run/text.h"
#include "study/store.h"
#include "tests/fire/mutate.h"
#include "tests/support/temp_folder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <torch/types.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

namespace foil::fire {
namespace {

namespace fs = std::filesystem;

constexpr int kPatience = 20;           // seconds of processor time for one input: more is a hang
constexpr int kSilence = 600'000;       // milliseconds without a sign: it waits for something
constexpr rlim_t kMemory = 6ull << 30;  // of addresses, of which LibTorch takes less than two
constexpr int64_t kShown = 5;           // examples of raw words that are kept

const Component& find(const std::string& kind, const std::string& name, const std::string& place) {
  return Registry::instance().find(kind, name, place);
}

// ---- The readers. Each is given a folder in which one file is damaged.

void read_experiment(const std::string& folder) {
  for (const Trial& trial : load_trials(folder + "/e.toml", {})) check(trial.root, find);
}

void read_dataset(const std::string& folder) {
  const Experiment x = build(check(load_trials(folder + "/e.toml", {}).at(0).root, find), at::kCPU);
  for (const Split split : {Split::train, Split::validation, Split::test}) {
    const int64_t size = x.dataset->size(split);
    if (size > 0) x.dataset->read(split, torch::arange(std::min<int64_t>(size, 64)));
  }
}

void read_tensors(const std::string& folder) { load_tensors(folder + "/a.safetensors"); }

// `read` of every file that has this ending; then the last refusal, if there was one.
void read_each(const std::string& folder, const std::string& ending,
               const std::function<void(const fs::path&)>& read) {
  std::string refused;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().filename().string().ends_with(ending)) files.push_back(entry.path());
  for (const fs::path& file : files) {
    try {
      read(file);
    } catch (const Error& error) {
      refused = error.what();
    }
  }
  if (!refused.empty()) fail(Exit::data, refused);
}

void read_checkpoint(const std::string& folder) {
  Checkpoints(folder, 1).load_newest([](const std::string&) {});
  read_each(folder, ".json", [](const fs::path& file) { Checkpoints::load(file); });
}

void compare(const std::string& folder) {
  CompareOptions options;
  options.folders = {folder};
  options.report = folder + "/report";
  compare_command(options);
}

void read_records(const std::string& folder) {
  read_each(folder, "study.sqlite", [](const fs::path& file) { compare(file.parent_path()); });
  read_each(folder, "results.json", [](const fs::path& file) { compare(file.parent_path()); });
  read_each(folder, ".json", [](const fs::path& file) { parse_json(read_file(file), file); });
  read_each(folder, ".jsonl", [](const fs::path& file) { read_metrics(file); });
  read_each(folder, "status", [](const fs::path& file) { read_status(file.parent_path()); });
}

void read_study(const std::string& folder) { TrialStore(folder, TrialStore::Access::read).trials(); }

void read_plugin(const std::string& folder) { plugin_abi(folder + "/a.so"); }

void read_embeddings(const std::string& folder) {
  read_each(folder, ".safetensors", [&](const fs::path& file) {
    ScoreOptions options;
    options.loss = file.stem();
    options.file = file;
    options.out = folder + "/out";
    score_command(Registry::instance(), options);
  });
}

using Reader = void (*)(const std::string& folder);
Reader reader_of(const std::string& name) {
  static const std::map<std::string, Reader> readers = {
      {"toml", read_experiment},   {"safetensors", read_tensors}, {"checkpoint", read_checkpoint},
      {"records", read_records},   {"study", read_study},         {"plugin", read_plugin},
      {"score", read_embeddings},  {"idx", read_dataset},         {"cifar10", read_dataset},
      {"cifar100", read_dataset},  {"stl10", read_dataset},       {"png", read_dataset},
      {"jpeg", read_dataset},      {"digits", read_dataset},      {"emoji", read_dataset},
      {"pairs", read_dataset},     {"embeddings", read_dataset},  {"graph", read_dataset},
      {"graph_csv", read_dataset}, {"webdataset", read_dataset}};
  const auto it = readers.find(name);
  if (it == readers.end()) fail(Exit::usage, "foil_readers: unknown reader '", name, "'.");
  return it->second;
}

// ---- One input

// In the words of a library or of the language, or in bytes that a terminal would obey.
bool is_raw(const std::string& words) {
  for (const char* raw : {"Exception raised from", "c10::", "at::", "[json.exception", "basic_string",
                          "std::", "vector::", "map::", "stoi", "stoll", "stod", "bad_alloc",
                          "INTERNAL ASSERT", "filesystem error"})
    if (words.find(raw) != std::string::npos) return true;
  return words.empty() || std::any_of(words.begin(), words.end(),
                                      [](char c) { return c != '\n' && static_cast<unsigned char>(c) < 32; });
}

struct Answer {
  char what;  // 'b'egun, 'a'ccepted, 'r'efused, raw 'w'ords
  int64_t input;
  char words[400];
};

Answer answer_to(Reader read, const std::string& folder) {
  Answer answer{};
  const auto say = [&](char what, const char* words) {
    answer.what = what;
    std::strncpy(answer.words, words, sizeof answer.words - 1);
  };
  try {
    read(folder);
    say('a', "");
  } catch (const Error& error) {
    const std::string shown = printable_lines(error.what());  // as the program prints it
    say(is_raw(shown) ? 'w' : 'r', shown.c_str());
  } catch (const std::exception& error) {
    say('w', error.what());
  } catch (...) {
    say('w', "something that is no std::exception");
  }
  return answer;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

struct Fire {
  std::string name, folder, work;
  uint64_t seed;
  int64_t count;
  std::string keep;
  std::vector<std::string> files = {};  // that are damaged, relative to the folder

  // The file that input i damages, and its bytes.
  std::pair<std::string, std::string> input(int64_t i) const {
    std::seed_seq key{seed, static_cast<uint64_t>(i), static_cast<uint64_t>(std::hash<std::string>()(name))};
    Random random(key);
    const std::string file = files[below(random, files.size())];
    return {file, mutated(read_file(folder + "/" + file), random)};
  }

  void keep_input(int64_t i, const std::string& why) const {
    const auto [file, bytes] = input(i);
    const std::string to = keep + "/" + name + "-" + std::to_string(i) + "/" + file;
    fs::create_directories(fs::path(to).parent_path());
    write(to, bytes);
    std::fprintf(stderr, "%s: %s\n", to.c_str(), why.c_str());
  }
};

// ---- The child: every input from `first` on.

void limit_itself() {
  const rlimit memory{kMemory, kMemory}, no_core{0, 0};
  ::setrlimit(RLIMIT_AS, &memory);
  ::setrlimit(RLIMIT_CORE, &no_core);
  const int null = ::open("/dev/null", O_WRONLY);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(null, STDERR_FILENO);
}

[[noreturn]] void read_all(const Fire& fire, int64_t first, int pipe) {
  limit_itself();
  const Reader read = reader_of(fire.name);
  if (first == 0) {  // what is not damaged must be taken
    Answer whole = answer_to(read, fire.work);
    whole.input = -1;
    if (::write(pipe, &whole, sizeof whole) != sizeof whole) ::_exit(1);
  }
  for (int64_t i = first; i < fire.count; ++i) {
    const itimerval patience{{0, 0}, {kPatience, 0}};  // SIGPROF ends the process
    ::setitimer(ITIMER_PROF, &patience, nullptr);
    const Answer begun{'b', i, {}};
    if (::write(pipe, &begun, sizeof begun) != sizeof begun) ::_exit(1);
    const auto [file, bytes] = fire.input(i);
    write(fire.work + "/" + file, bytes);
    Answer answer = answer_to(read, fire.work);
    answer.input = i;
    fs::copy_file(fire.folder + "/" + file, fire.work + "/" + file, fs::copy_options::overwrite_existing);
    if (::write(pipe, &answer, sizeof answer) != sizeof answer) ::_exit(1);
  }
  ::_exit(0);
}

// ---- The parent

struct Counts {
  int64_t inputs = 0, refused = 0, accepted = 0, signals = 0, hangs = 0, raw = 0;
};

std::string ending(int status) {
  return WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status))
                             : "ended the process with code " + std::to_string(WEXITSTATUS(status));
}

// Counts what a child answers until it ends; returns where the next one goes on.
int64_t follow(const Fire& fire, int64_t first, Counts& counts) {
  int ends[2];
  if (::pipe(ends) != 0) fail(Exit::failure, "pipe: ", std::strerror(errno));
  fs::remove_all(fire.work);
  fs::copy(fire.folder, fire.work, fs::copy_options::recursive);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    read_all(fire, first, ends[1]);
  }
  ::close(ends[1]);
  int64_t at = first;
  bool open = true, silent = false;  // an input is not answered; nothing came for too long
  for (Answer answer; !silent;) {
    pollfd ready{ends[0], POLLIN, 0};
    silent = ::poll(&ready, 1, kSilence) == 0;
    if (silent) ::kill(child, SIGKILL);
    if (::read(ends[0], &answer, sizeof answer) != sizeof answer) break;
    if (answer.input < 0 && answer.what != 'a') fail(Exit::failure, fire.name, ", undamaged: ", answer.words);
    if (answer.input < 0) continue;
    at = answer.input;
    open = answer.what == 'b';
    if (open) continue;
    ++counts.inputs;
    ++(answer.what == 'a' ? counts.accepted : answer.what == 'r' ? counts.refused : counts.raw);
    if (answer.what == 'w' && counts.raw <= kShown) fire.keep_input(at, answer.words);
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!open) return at + 1;
  ++counts.inputs;
  const bool hangs = silent || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF);
  ++(hangs ? counts.hangs : counts.signals);
  fire.keep_input(at, hangs ? "hangs" : ending(status));
  return at + 1;
}

int run(int argc, char** argv) {
  if (argc != 6) fail(Exit::usage, "usage: foil_readers READER FOLDER SEED COUNT KEEP");
  at::set_num_threads(1);
  Registry& registry = Registry::instance();
  registry.enter("built in", register_builtin_data);
  load_plugins(plugin_folders({}), registry);
  const test::TempFolder home;
  Fire fire{argv[1], argv[2], home / "work", std::stoull(argv[3]), std::stoll(argv[4]), argv[5]};
  for (const auto& entry : fs::recursive_directory_iterator(fire.folder))
    if (entry.is_regular_file()) fire.files.push_back(fs::relative(entry.path(), fire.folder));
  std::sort(fire.files.begin(), fire.files.end());
  Counts counts;
  for (int64_t next = 0; next < fire.count;) next = follow(fire, next, counts);
  std::printf("%s %ld %ld %ld %ld %ld %ld\n", argv[1], counts.inputs, counts.refused, counts.accepted,
              counts.signals, counts.hangs, counts.raw);
  return 0;
}

}  // namespace
}  // namespace foil::fire

int main(int argc, char** argv) {
  try {
    return foil::fire::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
