// SPDX-License-Identifier: BSD-3-Clause
// Finding the files of the splits, reading their rows by column name, and laying the texts side by side.
#include "data/pairs.h"

#include "data/lines.h"
#include "data/rows.h"
#include "data/texts.h"
#include "run/file.h"
#include "run/text.h"

#include <foil/error.h>

#include <torch/types.h>

#include <algorithm>
#include <filesystem>
#include <map>

namespace foil {
namespace {

namespace fs = std::filesystem;

// The texts of one split by column, and the group of each row.
struct Part {
  std::string file;  // empty: there is no such split
  std::vector<std::vector<std::string>> texts;
  std::vector<int64_t> group;
  int64_t rows() const { return texts.empty() ? 0 : std::ssize(texts[0]); }
};

// The file of a split in a folder, by the endings that are read; empty where there is none.
std::string find_file(const std::string& folder, const std::string& split) {
  std::string found;
  for (const char* ending : kRowEndings) {
    const fs::path file = fs::path(folder) / (split + ending);
    std::error_code ignored;
    if (fs::status(file, ignored).type() == fs::file_type::not_found) continue;
    if (!found.empty())
      fail(Exit::data, printable(found), ": ", split + ending,
           " stands beside it, and a split has one file.");
    found = file.string();
  }
  return found;
}

class Reader {
 public:
  explicit Reader(const Pairs::Options& options) : options_(options), cut_(options.columns.size()) {
    if (options.columns.empty()) refuse("columns", "[]", "a list of one or more columns");
    for (const std::string& one : options.columns)
      if (std::count(options.columns.begin(), options.columns.end(), one) > 1)
        refuse("columns", "'" + one + "' twice", "each once");
    if (options.path.empty() && options.train.empty())
      refuse("path", "\"\"", "the folder of the files, or that of the training rows as train");
  }

  Part read(const std::string& split, const std::string& given) {
    Part part;
    part.file = !given.empty() || options_.path.empty() ? given : find_file(options_.path, split);
    if (part.file.empty() && split == "train")
      fail(Exit::data, printable(options_.path), ": no train.jsonl or train.tsv in it, nor with .gz.");
    if (part.file.empty()) return part;
    part.texts.resize(options_.columns.size());
    std::vector<std::string> wanted = options_.columns;
    if (!options_.group.empty()) wanted.push_back(options_.group);
    const std::unique_ptr<Rows> rows = open_rows(part.file, wanted);
    while (rows->next()) {
      for (size_t c = 0; c < part.texts.size(); ++c) part.texts[c].push_back(cut(c, rows->cells()[c]));
      if (!options_.group.empty()) part.group.push_back(group_of(rows->cells().back()));
      require_memory(printable(part.file), static_cast<double>(held_));
    }
    if (part.rows() == 0) fail(Exit::data, printable(part.file), ": holds no row.");
    return part;
  }

  std::vector<std::string> remarks() const {
    std::vector<std::string> all;
    for (size_t c = 0; c < cut_.size(); ++c)
      for (const std::string& remark : cut_remark(cut_[c], options_.columns[c], options_.max_bytes))
        all.push_back(remark);
    return all;
  }

 private:
  std::string cut(size_t column, const std::string& text) {
    const std::string_view kept = whole_characters(text, options_.max_bytes);
    cut_[column] += kept.size() < text.size() ? 1 : 0;
    held_ += std::ssize(kept);
    return std::string(kept);
  }

  // Numbered by first occurrence, over all splits.
  int64_t group_of(const std::string& name) {
    return name.empty() ? -1 : groups_.try_emplace(name, std::ssize(groups_)).first->second;
  }

  const Pairs::Options& options_;
  std::vector<int64_t> cut_;  // texts, by column
  int64_t held_ = 0;          // bytes
  std::map<std::string, int64_t> groups_;
};

Table texts_of(const Part& part, const std::vector<int64_t>& lengths) {
  Table table;
  for (size_t c = 0; c < part.texts.size(); ++c)
    table.columns.push_back(text_column(part.texts[c], lengths[c]));
  if (!part.group.empty()) table.group = torch::tensor(part.group, torch::kLong);
  return table;
}

}  // namespace

Pairs::Read Pairs::read_pairs(const Options& options) {
  Reader reader(options);
  const Part train = reader.read("train", options.train),
             validation = reader.read("validation", options.validation),
             test = reader.read("test", options.test);
  std::vector<int64_t> lengths;
  double bytes = 0;
  for (size_t c = 0; c < options.columns.size(); ++c) {
    int64_t longest = 1;
    for (const Part* part : {&train, &validation, &test})
      if (part->rows() > 0) longest = std::max(longest, longest_of(part->texts[c]));
    lengths.push_back(longest);
    bytes +=
        static_cast<double>(longest) * static_cast<double>(train.rows() + validation.rows() + test.rows());
  }
  require_memory("data set 'pairs'", bytes);
  Read read;
  read.remarks = reader.remarks();
  for (size_t c = 0; c < options.columns.size(); ++c)
    read.contents.modalities.push_back(text_modality(options.columns[c], lengths[c]));
  read.contents.train = texts_of(train, lengths);
  read.contents.validation = texts_of(validation, lengths);
  read.contents.test = texts_of(test, lengths);
  return read;
}

Pairs::Pairs(const Options& options) : Pairs(read_pairs(options)) {}

}  // namespace foil
