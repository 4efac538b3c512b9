// SPDX-License-Identifier: BSD-3-Clause
// What a user can get wrong, as a table: each row has the files, the arguments, the whole of stderr and the
// exit code. Nothing may be created where runs go. FOLDER stands for the folder of the case, LOSSES,
// ENCODERS, ... for the names that this build registers.
#pragma once

#include "tests/support/run_foil.h"

#include <algorithm>
#include <map>

namespace {

using foil::Outcome;
using foil::Workplace;

inline const std::string run_table = "[run]\nsteps = 1\n";
inline const std::string data_table = "[data]\nname = \"synthetic\"\nsamples = 32\nbatch_size = 8\n";
inline const std::string encoder_table = "[encoder]\nname = \"small_cnn\"\n";
inline const std::string loss_table = "[[loss]]\nname = \"infonce\"\n";
inline const std::string good = run_table + data_table + encoder_table + loss_table;

struct Case {
  std::string name;
  std::map<std::string, std::string> files;
  std::string message;
  int code = 2;
  std::vector<std::string> arguments = {"train", "e.toml"};
  std::function<void(const Workplace&)> prepare = {};
  std::vector<std::string> env = {};
};
inline void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// "a, b, c": the registered names of a kind, as messages list them.
inline std::string registered(const std::string& kind) {
  static const std::string all = Workplace().foil({"plugins"}).out;
  std::istringstream lines(all);
  std::string names;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(kind + " ", 0) != 0) continue;
    std::istringstream words(line.substr(14));
    std::string name;
    words >> name;
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

class BadInput : public ::testing::TestWithParam<Case> {};

TEST_P(BadInput, IsRefusedInWholeAndNothingIsCreated) {
  const Case& c = GetParam();
  const Workplace place;
  for (const auto& [name, text] : c.files) place.write(name, replaced(text, "FOLDER", place.folder.string()));
  if (c.prepare) c.prepare(place);
  std::vector<std::string> arguments, env;
  for (const std::string& argument : c.arguments)
    arguments.push_back(replaced(argument, "FOLDER", place.folder.string()));
  for (const std::string& variable : c.env)
    env.push_back(replaced(variable, "FOLDER", place.folder.string()));
  const auto listing = [&] {
    std::vector<std::string> names;
    if (!std::filesystem::exists(place.folder / "runs")) return names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(place.folder / "runs"))
      names.push_back(entry.path());
    std::sort(names.begin(), names.end());
    return names;
  };
  const std::vector<std::string> before = listing();
  const Outcome outcome = place.foil(arguments, env);
  std::string message = c.message;
  for (const auto& [word, kind] : std::map<std::string, std::string>{{"LOSSES", "loss"},
                                                                     {"ENCODERS", "encoder"},
                                                                     {"DATA_SETS", "data set"},
                                                                     {"AUGMENTATIONS", "augmentation"}}) {
    if (message.find(word) != std::string::npos) message = replaced(message, word, registered(kind));
  }
  EXPECT_EQ(replaced(outcome.err, place.folder.string(), "FOLDER"), message + "\n");
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.code, c.code);
  EXPECT_EQ(listing(), before);
}

inline std::string name_of(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

}  // namespace
