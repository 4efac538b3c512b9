// SPDX-License-Identifier: BSD-3-Clause
// Where in tar shards the members of each sample lie. A sample is the files of one key, their name up to the
// first dot behind the last slash; what follows is the extension, of which case does not count. The files of
// a key stand one after another. Every header is read once, and every text, so that what is wrong with one is
// known before anything is trained; of the pictures only the size is looked at.
#pragma once

#include "data/decode.h"
#include "data/remarks.h"

#include <foil/view.h>

#include <optional>

namespace foil {

// What is wanted of each sample: a member of one of these extensions, or a field of one.
struct Source {
  std::string name;                     // as messages call it: that of the modality, "label", "group"
  Kind kind = Kind::text;               // or image
  std::vector<std::string> extensions;  // in lower case, without the dot before them
  std::string field;                    // of a JSON object; empty: the whole text
};

// The text of a member: UTF-8, without white space at its ends; empty for a JSON null. Throws Error
// (Exit::data) with the place for another encoding, and for JSON that lacks the field.
std::string text_in(const Source& source, const std::vector<uint8_t>& member, const std::string& place);

struct Member {
  int64_t offset = -1, size = 0;  // bytes, from the beginning of the shard
};

struct ShardOptions {
  std::vector<Source> columns;
  std::optional<Source> label, group;
  int64_t max_bytes = 0;      // that a text is cut to
  int64_t largest_image = 0;  // pixels
  int64_t threads = 1;
};

// Of all shards of a split, in their order.
struct ShardIndex {
  std::vector<std::string> shards;   // paths
  std::vector<int64_t> begin = {0};  // the first sample of each, and behind the last how many there are
  std::vector<Member> members;       // sample by sample, of each the columns
  std::vector<int64_t> label;        // -1: none; empty where none was asked for
  std::vector<std::string> group;
  std::string names;  // of shard after shard a checksum of the names and sizes of its members

  // Of a column of texts.
  struct Texts {
    int64_t longest = 0;  // bytes
    int64_t cut = 0;      // texts
  };
  // Of a column of images, until two sizes differ. What made a header unreadable counts where none do.
  struct Images {
    std::optional<ImageSize> size;
    bool differ = false;
    std::optional<Error> unreadable;
    void add(const ImageSize& other);
    void add(const Images& other);
  };
  std::vector<Texts> texts;    // by column
  std::vector<Images> images;  // by column

  // What was left out: samples that lack a source, by source (columns, label, group), or have an empty text;
  // members that belong to no sample.
  std::vector<Passed> lacking, blank;
  Passed odd;

  int64_t samples() const { return begin.back(); }
  // The shard that holds a sample.
  const std::string& shard_of(int64_t sample) const;
  const Member& member(int64_t sample, size_t column) const {
    return members[static_cast<size_t>(sample) * texts.size() + column];
  }
};

// Reads the shards, several at a time. Throws Error (Exit::data) naming shard and member, of several shards
// for the first; also where no sample is left.
ShardIndex index_shards(const std::vector<std::string>& shards, const ShardOptions& options);

// "SHARD: NAME", of the member that lies there: found by walking the shard again, as the index holds no
// names.
std::string place_in(const std::string& shard, int64_t offset);

}  // namespace foil
