// SPDX-License-Identifier: BSD-3-Clause
// From options to shards and sources, and from the index to batches.
#include "data/webdataset.h"

#include "data/braces.h"
#include "data/file.h"
#include "data/lines.h"
#include "data/memory.h"
#include "data/parallel.h"
#include "data/texts.h"
#include "run/cores.h"
#include "run/file.h"
#include "run/text.h"

#include <torch/types.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>

namespace foil {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kPictures = {"jpg", "jpeg", "png"};

// A member as an option names it: "mask.png", "json.caption".
Source source_of(const std::string& name, const std::string& member) {
  Source source;
  source.name = name;
  const size_t json = ("." + member).find(".json.");
  const size_t field = json == std::string::npos ? json : json + std::string_view("json.").size();
  source.field = field == std::string::npos ? "" : member.substr(field);
  std::string extension = field == std::string::npos ? member : member.substr(0, field - 1);
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const std::string last = extension.substr(extension.rfind('.') + 1);
  if (std::find(kPictures.begin(), kPictures.end(), last) != kPictures.end()) source.kind = Kind::image;
  source.extensions = {extension};
  return source;
}

std::vector<Source> columns_of(const std::vector<std::string>& columns) {
  if (columns.empty()) refuse("columns", "[]", "a list of one or more columns");
  std::vector<Source> sources;
  for (const std::string& column : columns) {
    const size_t equals = column.find('=');
    const std::string name = column.substr(0, equals),
                      member = equals == column.npos ? "" : column.substr(equals + 1);
    Source source = source_of(name, member);
    if (equals == column.npos && name == "image") {
      source.kind = Kind::image;
      source.extensions = kPictures;
    } else if (equals == column.npos && name == "text") {
      source.extensions = {"txt"};
    } else if (const std::string& one = source.extensions[0];
               name.empty() || (source.field.empty() && source.kind == Kind::text && one != "txt" &&
                                !one.ends_with(".txt"))) {
      refuse("columns", in_quotes(column),
             "image, text, or NAME=MEMBER, where MEMBER ends in jpg, jpeg, png or txt, or is json.FIELD");
    }
    for (const Source& other : sources)
      if (other.name == name) refuse("columns", in_quotes(name) + " twice", "each once");
    sources.push_back(std::move(source));
  }
  return sources;
}

std::optional<Source> text_source(const std::string& name, const std::string& member) {
  if (member.empty()) return {};
  Source source = source_of(name, member);
  if (source.kind == Kind::image) refuse(name, in_quotes(member), "a member that holds a text");
  return source;
}

// The shards of a split: those of a folder in byte order, or those that a text with braces names.
class Finder {
 public:
  explicit Finder(const WebDataset::Options& options) : options_(options) {
    if (options.path.empty() && options.train.empty())
      refuse("path", "\"\"", "the folder of the shards, or the training shards as train");
  }

  std::vector<std::string> find(const std::string& split, const std::string& given) {
    if (given.empty() && options_.path.empty()) return {};
    const fs::path place = given.empty() ? fs::path(options_.path) / split : fs::path(given);
    std::error_code ignored;
    if (fs::is_directory(place, ignored)) return in_folder(place);
    if (!given.empty()) return named(split, given);
    if (split == "train")
      fail(Exit::data, printable(place.string()),
           ": no such folder; shards that lie elsewhere are named by data.train.");
    return {};
  }

  // "left out 2 files beside the shards (00000.parquet, 00000_stats.json)"
  Passed beside;

 private:
  std::vector<std::string> in_folder(const fs::path& folder) {
    std::vector<std::string> shards;
    std::vector<std::string> others;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      // A packed shard is refused by name when it is opened.
      const bool shard = name.ends_with(".tar") || name.find(".tar.") != name.npos || name.ends_with(".tgz");
      (shard ? shards : others).push_back(shard ? it->path().string() : name);
    }
    if (error) fail(Exit::data, printable(folder.string()), ": cannot be read: ", error.message(), ".");
    if (shards.empty()) fail(Exit::data, printable(folder.string()), ": no .tar file in it.");
    std::sort(shards.begin(), shards.end());
    std::sort(others.begin(), others.end());
    for (const std::string& name : others) beside.add(name);
    return shards;
  }

  static std::vector<std::string> named(const std::string& split, const std::string& given) {
    std::vector<std::string> shards = expand_braces(split, given);
    for (size_t i = 0; i < shards.size(); ++i) {
      std::error_code ignored;
      if (fs::status(shards[i], ignored).type() != fs::file_type::not_found) continue;
      fail(Exit::data, printable(shards[i]), ": no such file",
           shards.size() == 1
               ? "."
               : "; it is shard " + std::to_string(i + 1) + " of the " + std::to_string(shards.size()) +
                     " of data." + split + " = " + in_quotes(given) + ".");
    }
    return shards;
  }

  const WebDataset::Options& options_;
};

}  // namespace

WebDataset::WebDataset(const Options& options) {
  options_.columns = columns_of(options.columns);
  options_.label = text_source("label", options.label);
  options_.group = text_source("group", options.group);
  options_.max_bytes = options.max_bytes;
  options_.largest_image = options.largest_image;
  options_.threads = options.threads > 0 ? options.threads : usable_cores();
  if (!options.class_names.empty() && options.label.empty())
    refuse("class_names", in_quotes(options.class_names), "\"\" without data.label");
  Finder finder(options);
  const std::vector<std::string> train = finder.find("train", options.train),
                                 validation = finder.find("validation", options.validation),
                                 test = finder.find("test", options.test);
  train_.index = index_shards(train, options_);
  if (!validation.empty()) validation_.index = index_shards(validation, options_);
  if (!test.empty()) test_.index = index_shards(test, options_);
  find_modalities();
  find_classes(options);
  number_groups();
  if (finder.beside.any())
    remarks_.push_back("left out " + finder.beside.text("file beside the shards", "files beside the shards"));
  tell();
}

void WebDataset::find_modalities() {
  for (size_t c = 0; c < options_.columns.size(); ++c) {
    const Source& column = options_.columns[c];
    int64_t longest = 1;
    ShardIndex::Images images;
    for (const Part* part : {&train_, &validation_, &test_}) {
      if (part->index.samples() == 0) continue;
      longest = std::max(longest, part->index.texts[c].longest);
      images.add(part->index.images[c]);
    }
    if (column.kind == Kind::text) {
      modalities_.push_back(text_modality(column.name, longest));
      continue;
    }
    if (!images.differ && images.unreadable) throw Error(*images.unreadable);
    const ImageSize size = images.differ ? ImageSize{-1, -1} : *images.size;
    modalities_.push_back({column.name, {Kind::image, {3, size.height, size.width}, 0}});
  }
}

void WebDataset::find_classes(const Options& options) {
  if (!options_.label) return;
  int64_t classes = 0;
  for (Part* part : {&train_, &validation_, &test_}) {
    part->label = torch::tensor(part->index.label, torch::kLong);
    part->index.label = {};
    if (part->label.numel() > 0) classes = std::max(classes, part->label.max().item<int64_t>() + 1);
  }
  if (classes == 0) refuse("label", in_quotes(options.label), "a member that names a class: all are -1");
  if (options.class_names.empty()) {
    for (int64_t c = 0; c < classes; ++c) classes_.push_back(std::to_string(c));
    return;
  }
  Lines lines(options.class_names);
  for (std::string line; lines.next(line);)
    if (!line.empty()) classes_.push_back(printable(line));
  if (std::ssize(classes_) < classes)
    fail(Exit::data, printable(options.class_names), ": ", classes_.size(),
         " class names, but a sample is of class ", classes - 1, "; the first line names class 0.");
}

// By first occurrence, over all splits.
void WebDataset::number_groups() {
  if (!options_.group) return;
  std::map<std::string, int64_t> numbers;
  for (Part* part : {&train_, &validation_, &test_}) {
    std::vector<int64_t> group;
    for (const std::string& name : part->index.group)
      group.push_back(name.empty() ? -1 : numbers.try_emplace(name, std::ssize(numbers)).first->second);
    part->index.group = {};
    part->group = torch::tensor(group, torch::kLong);
  }
}

void WebDataset::tell() {
  std::vector<Source> sources = options_.columns;
  for (const std::optional<Source>& one : {options_.label, options_.group})
    if (one) sources.push_back(*one);
  const auto all = [&](const std::function<const Passed&(const ShardIndex&)>& of) {
    Passed passed;
    for (const Part* part : {&train_, &validation_, &test_})
      if (part->index.samples() > 0) passed.add(of(part->index));
    return passed;
  };
  const auto left_out = [&](const Passed& passed, const std::string& what, const std::string& which) {
    if (passed.any()) remarks_.push_back("left out " + passed.text(what + which, what + "s" + which));
  };
  for (size_t s = 0; s < sources.size(); ++s) {
    const std::string name = in_quotes(sources[s].name);
    left_out(all([&](const ShardIndex& index) -> const Passed& { return index.lacking[s]; }), "sample",
             " without " + name);
    left_out(all([&](const ShardIndex& index) -> const Passed& { return index.blank[s]; }), "sample",
             " whose " + name + " is empty");
  }
  left_out(all([](const ShardIndex& index) -> const Passed& { return index.odd; }), "member",
           " of no sample");
  for (size_t c = 0; c < options_.columns.size(); ++c) {
    int64_t cut = 0;
    for (const Part* part : {&train_, &validation_, &test_})
      if (part->index.samples() > 0) cut += part->index.texts[c].cut;
    for (const std::string& remark : cut_remark(cut, options_.columns[c].name, options_.max_bytes))
      remarks_.push_back(remark);
  }
}

Views WebDataset::read(Split split, const Tensor& index) const {
  check_index(index, size(split));
  const Tensor rows = index.contiguous();
  const int64_t count = rows.size(0);
  Views views;
  for (const Modality& modality : modalities_) {
    View view;
    view.modality = modality.name;
    view.kind = modality.shape.kind;
    std::vector<int64_t> sizes = modality.shape.sizes;
    if (sizes.back() < 0) {
      view.ragged.resize(static_cast<size_t>(count));
    } else {
      double bytes = static_cast<double>(count);
      for (const int64_t size : sizes) bytes *= static_cast<double>(size);
      require_memory("a batch of " + std::to_string(count) + " samples of data set 'webdataset'", bytes);
      sizes.insert(sizes.begin(), count);
      view.data =
          view.kind == Kind::text ? torch::zeros(sizes, torch::kByte) : torch::empty(sizes, torch::kByte);
    }
    if (view.kind == Kind::text) view.length = torch::empty({count}, torch::kLong);
    views.push_back(std::move(view));
  }
  in_parallel(count, options_.threads,
              [&](int64_t b) { read_sample(part(split), rows.const_data_ptr<int64_t>()[b], b, views); });
  return views;
}

namespace {

void put_text(const std::string& text, int64_t most, int64_t b, View& view) {
  const std::string_view kept = whole_characters(text, most);
  std::memcpy(view.data.mutable_data_ptr<uint8_t>() + b * view.data.size(1), kept.data(), kept.size());
  view.length.mutable_data_ptr<int64_t>()[b] = std::ssize(kept);
}

void put_image(const ImageFile& file, int64_t b, View& view) {
  const auto [height, width] = file.size();
  if (!view.data.defined()) {
    Tensor& image = view.ragged[static_cast<size_t>(b)];
    image = torch::empty({3, height, width}, torch::kByte);
    return file.decode(image.mutable_data_ptr<uint8_t>());
  }
  if (height != view.data.size(2) || width != view.data.size(3))
    fail(Exit::data, ": ", height, "x", width, ", but it was ", view.data.size(2), "x", view.data.size(3),
         " when the run started.");
  file.decode(view.data.mutable_data_ptr<uint8_t>() + b * 3 * height * width);
}

}  // namespace

// Names are looked up only where something fails; until then messages begin behind them.
void WebDataset::read_sample(const Part& part, int64_t sample, int64_t b, Views& views) const {
  const std::string& shard = part.index.shard_of(sample);
  const OpenFile file(shard);
  for (size_t c = 0; c < views.size(); ++c) {
    const Member& member = part.index.member(sample, c);
    std::vector<uint8_t> bytes = file.read(member.offset, member.size);
    try {
      if (views[c].kind == Kind::text) {
        put_text(text_in(options_.columns[c], bytes, ""), modalities_[c].shape.sizes[0], b, views[c]);
      } else {
        put_image(ImageFile("", std::move(bytes), options_.largest_image), b, views[c]);
      }
    } catch (const Error& error) {
      fail(error.code(), place_in(shard, member.offset), error.what());
    }
  }
}

// At the members of a column, those of the training split first.
Glance WebDataset::glance(size_t column) const {
  const std::vector<const ShardIndex*> parts = {&train_.index, &validation_.index, &test_.index};
  int64_t samples = 0, bytes = 0;
  for (const ShardIndex* index : parts) {
    samples += index->samples();
    for (int64_t i = 0; i < index->samples(); ++i) bytes += index->member(i, column).size;
  }
  return glance_at(samples, bytes, options_.threads, [&](int64_t i, bool whole) {
    size_t p = 0;
    while (i >= parts[p]->samples()) i -= parts[p++]->samples();
    const Member& member = parts[p]->member(i, column);
    const OpenFile file(parts[p]->shard_of(i));
    return whole ? file.read(member.offset, member.size)
                 : file.read_ends(member.offset, member.size, kGlanceEnd);
  });
}

const WebDataset::Scan& WebDataset::scan() const {
  std::call_once(scanned_, [this] {
    std::string all;  // each text ends in a zero byte, which no name holds
    for (size_t c = 0; c < modalities_.size(); ++c) {
      const Source& column = options_.columns[c];
      for (const std::string& extension : column.extensions) all += extension + ' ';
      all += column.name + '\0' + column.field + '\0';
      for (const int64_t size : modalities_[c].shape.sizes) all += std::to_string(size) + ' ';
      const Glance seen = glance(c);
      for (const std::string& sum : seen.sums) all += sum;
      if (column.kind != Kind::image) continue;
      for (const std::string& remark : seen.remarks()) scan_.remarks.push_back(remark);
    }
    for (const Part* part : {&train_, &validation_, &test_}) {
      all += part->index.names + '\0';
      for (const Tensor& numbers : {part->label, part->group})
        if (numbers.defined())
          all += checksum({static_cast<const char*>(numbers.const_data_ptr()), numbers.nbytes()}) + '\0';
    }
    for (const std::string& name : classes_) all += name + '\0';
    scan_.identity = checksum(all);
  });
  return scan_;
}

std::vector<std::string> WebDataset::remarks() const {
  std::vector<std::string> remarks = remarks_;
  for (const std::string& remark : scan().remarks) remarks.push_back(remark);
  return remarks;
}

}  // namespace foil
