// SPDX-License-Identifier: BSD-3-Clause
// Text as a bag of tokens: its words, and the character n-grams within them, each hashed to one of `buckets`
// (Bojanowski et al., "Enriching word vectors with subword information", TACL 2017, section 3.2; the hashing
// trick of Weinberger et al., ICML 2009). Nothing is learnt, so that any text of any language has tokens.
//
//   "A cat."  ->  words  a, cat, .      n-grams of 3  <a>, <ca, cat, at>
//
// A word is a run of letters, digits and characters beyond ASCII; another visible ASCII character is a word
// of its own without n-grams; A-Z count as a-z. The tokens of a text are first its words in their order, then
// its n-grams word by word; what is beyond `length` is left out. Token 0 is padding, and no text has it.
// Differs from fastText: words are hashed too, there is no dictionary, and n-grams are of lower case.
//
//   [[augment]]
//   name = "hashed_ngrams"
//   word_dropout = 0.1
#include <foil/plugin.h>

#include <ATen/Parallel.h>

#include <algorithm>
#include <string_view>

namespace {
using foil::Tensor;

const uint64_t kWords = foil::name_key("words"), kNgrams = foil::name_key("ngrams");

bool continues_character(uint8_t byte) { return (byte & 0xC0) == 0x80; }
bool is_visible(uint8_t byte) { return byte > 0x20 && byte != 0x7F; }
bool is_of_word(uint8_t byte) {
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z');
}

// The words of a text of lower case.
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_of_word(byte(end))) ++end;
    if (end == at && is_visible(byte(at))) ++end;
    if (end > at) words.push_back(text.substr(at, end - at));
    at = std::max(end, at + 1);
  }
  return words;
}

class HashedNgrams final : public foil::Augmentation {
 public:
  struct Options {
    std::vector<int64_t> ngrams = {3, 4, 5};
    bool words = true;
    int64_t buckets = 1 << 16;
    int64_t length = 256;
    double word_dropout = 0;
    void describe(foil::Fields& f) {
      f.integers("ngrams", ngrams, "characters of the n-grams, of words between < and >; empty = none",
                 foil::between(1, 16));
      f.flag("words", words, "each word is a token too");
      f.integer("buckets", buckets, "how many tokens there are, that of padding among them",
                foil::between(2, 1 << 24));
      f.integer("length", length, "tokens of a text; those beyond are left out", foil::between(1, 1 << 16));
      f.number("word_dropout", word_dropout,
               "how often a word is left out in training, with its n-grams; never the only one left",
               foil::from_below(0, 1));
    }
  };

  explicit HashedNgrams(Options options) : options_(std::move(options)) {
    if (options_.ngrams.empty() && !options_.words)
      foil::refuse("ngrams", "[]", "a list of one or more sizes, as words = false");
    for (const int64_t n : options_.ngrams) {
      longest_ = std::max(longest_, n);
      sizes_ |= uint64_t{1} << n;
    }
  }

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::text}; }

  foil::Shape shape_after(const foil::Shape& before) const override {
    if (before.kind != foil::Kind::text || before.range != 256)
      foil::fail(foil::Exit::usage, "hashed_ngrams: the data is ", foil::name_of(before.kind), " of ",
                 before.range, " tokens, allowed: text as it was read, in bytes.");
    return {foil::Kind::text, {options_.length}, options_.buckets};
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    return tokens_of(view, &context);
  }
  foil::View evaluate(const foil::View& view) override { return tokens_of(view, nullptr); }

  // "hashed_ngrams_w345_65536_256": w = words
  std::string evaluation_name() const override {
    std::string name = options_.words ? "hashed_ngrams_w" : "hashed_ngrams_";
    for (int64_t n = 1; n <= longest_; ++n)
      if (sizes_ >> n & 1) name += std::to_string(n);
    return name + "_" + std::to_string(options_.buckets) + "_" + std::to_string(options_.length);
  }

 private:
  // Without a context nothing is left out.
  foil::View tokens_of(const foil::View& view, const foil::AugmentContext* context) const {
    if (view.data.dim() != 2 || view.data.scalar_type() != at::kByte)
      foil::fail(foil::Exit::usage, "hashed_ngrams got data ", view.data.sizes(), " of ", view.data.dtype(),
                 ", allowed: text [B, L] in bytes");
    const Tensor bytes = view.data.cpu().contiguous();  // [B, L]
    const int64_t rows = bytes.size(0), longest = bytes.size(1);
    const Tensor length =
        view.length.defined() ? view.length.contiguous() : at::full({rows}, longest, at::kLong);
    const Tensor tokens = at::zeros({rows, options_.length}, at::kLong), count = at::empty({rows}, at::kLong);
    const auto* text = reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>());
    at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        std::string lower(text + b * longest, static_cast<size_t>(length.const_data_ptr<int64_t>()[b]));
        for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        std::vector<std::string_view> words = words_of(lower);
        if (context && options_.word_dropout > 0) drop_words(words, context->draws(b));
        count.mutable_data_ptr<int64_t>()[b] =
            write_tokens(words, tokens.mutable_data_ptr<int64_t>() + b * options_.length);
      }
    });
    foil::View out = view;
    out.data = tokens.to(view.data.device());
    out.length = count;
    return out;
  }

  // One draw a word, so that each is kept or not whatever becomes of the others.
  void drop_words(std::vector<std::string_view>& words, foil::Draws draws) const {
    std::vector<std::string_view> kept;
    for (const std::string_view word : words)
      if (draws.uniform() >= static_cast<float>(options_.word_dropout)) kept.push_back(word);
    if (!kept.empty()) words = std::move(kept);
  }

  // Writes at most `length` tokens; returns how many.
  int64_t write_tokens(const std::vector<std::string_view>& words, int64_t* to) const {
    int64_t* const begin = to;
    int64_t* const end = to + options_.length;
    for (size_t w = 0; options_.words && w < words.size() && to < end; ++w)
      *to++ = token(kWords, foil::name_key(words[w]));
    std::string marked;
    for (const std::string_view word : words) {
      if (to == end) break;
      if (longest_ == 0 || !is_of_word(static_cast<uint8_t>(word[0]))) continue;
      marked.assign("<").append(word).append(">");
      to = write_ngrams(marked, to, end);
    }
    return to - begin;
  }

  // The n-grams from each character on, the short ones first. Their hash is that of name_key, byte by byte.
  int64_t* write_ngrams(std::string_view word, int64_t* to, int64_t* end) const {
    for (size_t at = 0; at < word.size(); ++at) {
      if (continues_character(static_cast<uint8_t>(word[at]))) continue;
      uint64_t hash = foil::name_key("");
      int64_t characters = 0;
      for (size_t next = at; next < word.size() && characters < longest_;) {
        do hash = (hash ^ static_cast<uint8_t>(word[next++])) * 0x100000001B3ull;
        while (next < word.size() && continues_character(static_cast<uint8_t>(word[next])));
        ++characters;
        if (!(sizes_ >> characters & 1)) continue;
        if (to == end) return to;
        *to++ = token(kNgrams, hash);
      }
    }
    return to;
  }

  int64_t token(uint64_t kind, uint64_t hash) const {
    return 1 + static_cast<int64_t>(foil::mix_key(kind, hash) % static_cast<uint64_t>(options_.buckets - 1));
  }

  Options options_;
  int64_t longest_ = 0;  // of the n-grams
  uint64_t sizes_ = 0;   // bit n: there are n-grams of n characters
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<HashedNgrams>("hashed_ngrams"); }
