// SPDX-License-Identifier: BSD-3-Clause
// Each shard is walked by itself, so that many can be at once; then what they hold is laid end to end.
#include "data/shards.h"

#include "data/lines.h"
#include "data/parallel.h"
#include "data/rows.h"
#include "data/tar.h"
#include "run/file.h"
#include "run/json.h"
#include "run/text.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <unordered_set>

namespace foil {
namespace {

constexpr int64_t kMostClasses = 1'000'000;
constexpr int64_t kHead = 4096;  // bytes in which the size of a picture is looked for first

using Extensions = std::map<std::string, int64_t>;  // and how many members have them

std::string_view trimmed(std::string_view text) {
  constexpr const char* kWhite = " \t\r\n";
  const size_t begin = text.find_first_not_of(kWhite);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhite) - begin + 1);
}

// Key and extension of a member; no key where the name has none.
std::pair<std::string, std::string> key_of(const std::string& name) {
  const size_t base = name.rfind('/') + 1, dot = name.find('.', base);  // npos + 1 is 0
  if (dot == name.npos || dot == base) return {};
  std::string extension = name.substr(dot + 1);
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return {name.substr(0, dot), extension};
}

class Scanner {
 public:
  Scanner(const std::string& shard, const std::vector<Source>& sources, const ShardOptions& options)
      : tar_(shard), sources_(sources), options_(options), shown_(std::filesystem::path(shard).filename()) {
    index_.texts.resize(options.columns.size());
    index_.images.resize(options.columns.size());
    index_.lacking.resize(sources.size());
    index_.blank.resize(sources.size());
    clear();
  }

  ShardIndex scan() {
    while (tar_.next()) {
      if (tar_.is_folder()) continue;
      const auto [key, extension] = key_of(tar_.name());
      if (key.empty() || !tar_.is_file()) {
        index_.odd.add(shown_ + ": " + tar_.name());
        continue;
      }
      if (key != key_) begin(key);
      ++extensions_[extension];
      take(extension);
    }
    end();
    index_.begin = {0, samples_};
    index_.names = checksum(names_);
    return std::move(index_);
  }

  const Extensions& extensions() const { return extensions_; }

 private:
  void clear() {
    members_.assign(sources_.size(), {});
    texts_.assign(sources_.size(), {});
    images_.assign(options_.columns.size(), {});
  }

  void begin(const std::string& key) {
    end();
    if (!seen_.insert(key).second)
      fail(Exit::data, tar_.place(), ": the key ", in_quotes(key),
           " comes again behind others; the members of a key must stand together, and no two samples have "
           "one.");
    key_ = key;
  }

  // The member at hand, for all that want it.
  void take(const std::string& extension) {
    for (size_t s = 0; s < sources_.size(); ++s) {
      const std::vector<std::string>& wanted = sources_[s].extensions;
      if (std::find(wanted.begin(), wanted.end(), extension) == wanted.end()) continue;
      if (members_[s].offset >= 0)
        fail(Exit::data, tar_.place(), ": the key ", in_quotes(key_), " has a member for ",
             in_quotes(sources_[s].name), " already.");
      members_[s] = {tar_.offset(), tar_.size()};
      if (sources_[s].kind == Kind::image) {
        if (!index_.images[s].differ) look_at_image(images_[s]);
      } else {
        take_text(s);
      }
    }
  }

  std::vector<uint8_t> bytes(int64_t most) const {
    return tar_.file().read(tar_.offset(), std::min(tar_.size(), most));
  }

  void take_text(size_t source) {
    if (tar_.size() > Lines::kLongest)
      fail(Exit::data, tar_.place(), ": a text of ", tar_.size(), " bytes, allowed: at most ",
           Lines::kLongest, ".");
    texts_[source] = text_in(sources_[source], bytes(Lines::kLongest), tar_.place());
    if (options_.label && source == options_.columns.size()) label_ = label_of(texts_[source]);
  }

  // Its first bytes are enough for nearly every picture; what they are not enough for is read whole.
  void look_at_image(ShardIndex::Images& images) const {
    const int64_t most = largest_file(options_.largest_image);
    try {
      if (tar_.size() > most)
        fail(Exit::data, tar_.place(), ": ", tar_.size(), " bytes, allowed: at most ", most,
             ", by data.largest_image.");
      try {
        images.add(ImageFile(tar_.place(), bytes(kHead), options_.largest_image).size());
      } catch (const Error&) {
        images.add(ImageFile(tar_.place(), bytes(most), options_.largest_image).size());
      }
    } catch (const Error& error) {
      images.unreadable = error;
    }
  }

  // Of the key at hand, which is whole now: a sample, or left out.
  void end() {
    if (!key_.empty() && is_sample()) add();
    key_.clear();
    clear();
  }

  bool is_sample() {
    for (size_t s = 0; s < sources_.size(); ++s) {
      if (members_[s].offset >= 0) continue;
      index_.lacking[s].add(shown_ + ": " + key_);
      return false;
    }
    for (size_t c = 0; c < options_.columns.size(); ++c) {
      if (sources_[c].kind == Kind::image || !texts_[c].empty()) continue;
      index_.blank[c].add(shown_ + ": " + key_);
      return false;
    }
    return true;
  }

  void add() {
    for (size_t c = 0; c < options_.columns.size(); ++c) {
      index_.members.push_back(members_[c]);
      index_.images[c].add(images_[c]);
      names_ += std::to_string(members_[c].size) + ' ';
      const std::string_view kept = whole_characters(texts_[c], options_.max_bytes);
      index_.texts[c].longest = std::max(index_.texts[c].longest, std::ssize(kept));
      index_.texts[c].cut += kept.size() < texts_[c].size() ? 1 : 0;
    }
    names_ += key_ + '\0';
    if (options_.label) index_.label.push_back(label_);
    if (options_.group) index_.group.push_back(texts_.back());
    ++samples_;
  }

  int64_t label_of(const std::string& text) const {
    int64_t label = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
    if (error != std::errc() || end != text.data() + text.size() || label < -1 || label >= kMostClasses)
      fail(Exit::data, tar_.place(), ": the label is ", in_quotes(text),
           ", allowed: an integer from -1 (none) to ", kMostClasses - 1, ".");
    return label;
  }

  Tar tar_;
  const std::vector<Source>& sources_;  // columns, label, group
  const ShardOptions& options_;
  std::string shown_;  // the shard in remarks
  ShardIndex index_;
  int64_t samples_ = 0;
  std::string names_;
  Extensions extensions_;
  std::unordered_set<std::string> seen_;
  std::string key_;  // at hand; its members and what they hold by source
  std::vector<Member> members_;
  std::vector<std::string> texts_;
  std::vector<ShardIndex::Images> images_;
  int64_t label_ = -1;
};

template <class T>
void append(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  from = {};
}

void append(ShardIndex& all, ShardIndex&& shard) {
  all.begin.push_back(all.samples() + shard.samples());
  append(all.members, shard.members);
  append(all.label, shard.label);
  append(all.group, shard.group);
  all.names += shard.names + '\0';
  all.odd.add(shard.odd);
  for (size_t s = 0; s < all.lacking.size(); ++s) {
    all.lacking[s].add(shard.lacking[s]);
    all.blank[s].add(shard.blank[s]);
  }
  for (size_t c = 0; c < all.texts.size(); ++c) {
    all.texts[c].longest = std::max(all.texts[c].longest, shard.texts[c].longest);
    all.texts[c].cut += shard.texts[c].cut;
    all.images[c].add(shard.images[c]);
  }
}

// "'image', 'text'"
std::string names_of(const std::vector<Source>& sources) {
  std::string names;
  for (const Source& source : sources) names += (names.empty() ? "" : ", ") + in_quotes(source.name);
  return names;
}

[[noreturn]] void refuse_empty(const std::vector<std::string>& shards, const std::vector<Source>& sources,
                               const ShardIndex& index, const std::vector<Extensions>& extensions) {
  Extensions all;
  for (const Extensions& of_shard : extensions)
    for (const auto& [extension, count] : of_shard) all[extension] += count;
  std::string there;
  for (const auto& [extension, count] : all)
    if (std::ssize(there) < 200) there += (there.empty() ? "." : ", .") + printable(extension);
  std::string blank;
  for (const Passed& passed : index.blank)
    if (passed.any()) blank = ", with a text that is not empty";
  fail(Exit::data, printable(shards[0]), shards.size() > 1 ? " and the other shards" : "",
       ": no sample in it: none has all of ", names_of(sources), blank, "; members are ",
       there.empty() ? "none" : there, ".");
}

}  // namespace

std::string text_in(const Source& source, const std::vector<uint8_t>& member, const std::string& place) {
  const std::string text(member.begin(), member.end());
  require_utf8(text, place, "text");
  if (source.field.empty()) return std::string(trimmed(text));
  const nlohmann::json row = json_row(text, source.field, place);
  if (const auto found = row.find(source.field); found != row.end() && found->is_null()) return "";
  return std::string(trimmed(text_of(row, source.field, place)));
}

void ShardIndex::Images::add(const ImageSize& other) {
  differ = differ || (size && *size != other);
  size = other;
}

void ShardIndex::Images::add(const Images& other) {
  if (other.size) add(*other.size);
  differ = differ || other.differ;
  if (!unreadable) unreadable = other.unreadable;
}

const std::string& ShardIndex::shard_of(int64_t sample) const {
  return shards[static_cast<size_t>(std::upper_bound(begin.begin(), begin.end(), sample) - begin.begin() -
                                    1)];
}

ShardIndex index_shards(const std::vector<std::string>& shards, const ShardOptions& options) {
  std::vector<Source> sources = options.columns;
  for (const std::optional<Source>& one : {options.label, options.group})
    if (one) sources.push_back(*one);
  std::vector<ShardIndex> scanned(shards.size());
  std::vector<Extensions> extensions(shards.size());
  in_parallel(std::ssize(shards), options.threads, [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    Scanner scanner(shards[at], sources, options);
    scanned[at] = scanner.scan();
    extensions[at] = scanner.extensions();
  });
  ShardIndex all;
  all.shards = shards;
  all.lacking.resize(sources.size());
  all.blank.resize(sources.size());
  all.texts.resize(options.columns.size());
  all.images.resize(options.columns.size());
  size_t members = 0;
  for (const ShardIndex& shard : scanned) members += shard.members.size();
  all.members.reserve(members);
  for (ShardIndex& shard : scanned) append(all, std::move(shard));
  if (all.samples() == 0) refuse_empty(shards, sources, all, extensions);
  return all;
}

std::string place_in(const std::string& shard, int64_t offset) {
  Tar tar(shard);
  while (tar.next())
    if (tar.offset() == offset) return tar.place();
  return printable(shard) + ": byte " + std::to_string(offset);
}

}  // namespace foil
