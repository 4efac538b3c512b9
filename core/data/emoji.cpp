// SPDX-License-Identifier: BSD-3-Clause
// Reading the pictures and names of the emoji; their layout is in emoji.h.
#include "data/emoji.h"

#include "data/aligned.h"
#include "data/file.h"
#include "data/idx_file.h"
#include "data/texts.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

// The name of one language, with what is to follow it.
class Names {
 public:
  Names(const Tsv& index, const std::string& language, bool keywords)
      : modality_("name_" + language), name_(index.column(modality_)), keywords_(name_) {
    if (keywords) keywords_ = index.column("keywords_" + language);
  }

  void add(const Tsv& index) {
    std::string text(index.cell(name_));
    if (keywords_ != name_) text.append(" ").append(index.cell(keywords_));
    std::replace(text.begin() + static_cast<std::ptrdiff_t>(index.cell(name_).size()), text.end(), '|', ' ');
    texts_.push_back(std::move(text));
  }

  void finish(Table& all, std::vector<Modality>& modalities) const {
    const int64_t length = longest_of(texts_);
    modalities.push_back(text_modality(modality_, length));
    all.columns.push_back(text_column(texts_, length));
  }

 private:
  std::string modality_;
  size_t name_, keywords_;  // columns; the same one where there are no keywords
  std::vector<std::string> texts_;
};

void check_languages(const std::vector<std::string>& languages) {
  if (languages.empty()) refuse("languages", "[]", "a list of one or more languages");
  for (const std::string& one : languages)
    if (std::count(languages.begin(), languages.end(), one) > 1)
      refuse("languages", "'" + one + "' twice", "each once");
}

Contents read_emoji(const Emoji::Options& options) {
  check_languages(options.languages);
  const std::string folder = find_folder(
      {"emoji", "emoji-multilingual", "images-idx4-ubyte", "", "the pictures and index.tsv in one folder"},
      options.path);
  const std::string images = plain_or_gz(folder, "images-idx4-ubyte");
  IdxFile image_file(images, 4, 4, "images");
  const int64_t count = image_file.sizes()[0];
  Table all;
  all.columns.push_back({image_file.read(), {}});

  Tsv index(plain_or_gz(folder, "index.tsv"));
  const size_t core = index.column("core");
  std::vector<Names> names;
  for (const std::string& language : options.languages) names.emplace_back(index, language, options.keywords);
  const SplitRows rows = read_index(index, count, images, [&](int64_t, Split split) {
    for (Names& one : names) one.add(index);
    const bool has_tone = index.integer(core, 0, 1) == 0;
    return !has_tone || !(split == Split::train ? options.core_training : options.core);
  });

  Contents contents;
  contents.modalities = {{"image", {Kind::image, all.columns[0].data.sizes().slice(1).vec(), 0}}};
  for (const Names& one : names) one.finish(all, contents.modalities);
  set_splits(all, rows, contents);
  return contents;
}

}  // namespace

Emoji::Emoji(const Options& options) : MemoryDataset(read_emoji(options)) {}

}  // namespace foil
