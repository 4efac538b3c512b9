// SPDX-License-Identifier: BSD-3-Clause
// Emoji: a small picture, and its name in several languages. Each row is an instance of its own, so a picture
// and a name match only where they are of one row. One folder holds, each file plain or gzip,
//   images-idx4-ubyte  N, 3, H, W  uint8
//   index.tsv          N rows      columns row, split, core (1 = without a skin tone), and for each language
//                                  name_XX and keywords_XX, with "|" between keywords
// The splits of the file keep pictures of one family (skin tones, genders) together.
//
//   [data]
//   name = "emoji"
//   languages = ["en", "de"]      # the modalities image, name_en, name_de
#pragma once

#include "data/memory.h"

#include <foil/fields.h>

namespace foil {

class Emoji : public MemoryDataset {
 public:
  struct Options {
    std::string path;
    std::vector<std::string> languages = {"en", "de", "es", "fr", "ru", "ja"};
    bool keywords = false;
    bool core = false;
    bool core_training = false;
    void describe(Fields& f) {
      f.path("path", path, "folder of the images and index.tsv; empty = $FOIL_DATA/emoji-multilingual");
      f.texts("languages", languages, "languages of the names; each is a modality, name_en for en");
      f.flag("keywords", keywords, "the keywords follow the name, between spaces");
      f.flag("core", core,
             "only pictures without a skin tone in validation and test, as for the published figures");
      f.flag("core_training", core_training, "only such pictures in the training split too");
    }
  };
  explicit Emoji(const Options& options);
};

}  // namespace foil
