// SPDX-License-Identifier: BSD-3-Clause
#include "augment/hashed_ngrams.cpp"

#include "augment_test.h"

#include <set>

using namespace foil::test;

namespace {

using Texts = std::vector<std::string>;

using Tokens = std::vector<int64_t>;

// The tokens of row b that count; what is behind them is 0.
Tokens tokens_of(const foil::View& view, int64_t b = 0) {
  const Tensor row = view.data[b];
  const int64_t count = view.length[b].item<int64_t>();
  EXPECT_TRUE(row.slice(0, count).eq(0).all().item<bool>());
  const auto* first = row.const_data_ptr<int64_t>();
  return {first, first + count};
}

Tokens tokens_of(HashedNgrams& augmentation, const std::string& text) {
  return tokens_of(augmentation.evaluate(view_of_texts({text})));
}

// The slow truth: what is hashed, written out.
int64_t token(const char* kind, const std::string& text, int64_t buckets = 1 << 16) {
  return 1 + static_cast<int64_t>(foil::mix_key(foil::name_key(kind), foil::name_key(text)) %
                                  static_cast<uint64_t>(buckets - 1));
}
Tokens hashed(const Texts& words, const Texts& ngrams) {
  Tokens all;
  for (const std::string& word : words) all.push_back(token("words", word));
  for (const std::string& ngram : ngrams) all.push_back(token("ngrams", ngram));
  return all;
}

const Texts kSome = {"a plain text", "",      "Gr\u00fc\u00df Gott", "\u4e16\u754c", "one",
                     "a b c d e f",  "word!", "the same the same"};

}  // namespace

TEST(HashedNgrams, AreTheWordsThenTheNgramsOfEachWord) {
  HashedNgrams threes({.ngrams = {3}});
  EXPECT_EQ(tokens_of(threes, "A cat."), hashed({"a", "cat", "."}, {"<a>", "<ca", "cat", "at>"}));
  HashedNgrams mixed({.ngrams = {4, 2}});
  EXPECT_EQ(tokens_of(mixed, "ab"), hashed({"ab"}, {"<a", "<ab>", "ab", "b>"}));
  HashedNgrams ngrams({.ngrams = {3}, .words = false});
  EXPECT_EQ(tokens_of(ngrams, "ab +x"), hashed({}, {"<ab", "ab>", "<x>"}));
  HashedNgrams words({.ngrams = {}});
  EXPECT_EQ(tokens_of(words, "  To be,or\t2B \n"), hashed({"to", "be", ",", "or", "2b"}, {}));
}

TEST(HashedNgrams, AreOfCharactersNotOfBytes) {
  HashedNgrams twos({.ngrams = {2}, .words = false});
  EXPECT_EQ(tokens_of(twos, "\u4e16\u00fc"), hashed({}, {"<\u4e16", "\u4e16\u00fc", "\u00fc>"}));
  HashedNgrams words({.ngrams = {}});
  EXPECT_EQ(tokens_of(words, "GR\u00dc\u00df \u4e16\u754c"), hashed({"gr\u00dc\u00df", "\u4e16\u754c"}, {}))
      << "only A to Z have a lower case";
}

// As computed by hand from the published definitions of FNV-1a and splitmix64: another platform has the same.
TEST(HashedNgrams, HaveTheseNumbersEverywhere) {
  HashedNgrams plain({});
  EXPECT_EQ(tokens_of(plain, "cat"), (Tokens{58936, 7445, 45439, 3710, 6404, 30621, 51011}));
}

TEST(HashedNgrams, FillTheLengthAndLeaveTheRestOut) {
  HashedNgrams some({.ngrams = {3}, .length = 4}), all({.ngrams = {3}});
  const Tokens whole = tokens_of(all, "ab cde");
  ASSERT_EQ(whole.size(), 7u);
  EXPECT_EQ(tokens_of(some, "ab cde"), Tokens(whole.begin(), whole.begin() + 4));
  EXPECT_EQ(tokens_of(some, "a b c d e f"), hashed({"a", "b", "c", "d"}, {}));
  EXPECT_TRUE(tokens_of(some, "").empty());
  EXPECT_EQ(some.evaluate(view_of_texts({})).data.sizes(), (std::vector<int64_t>{0, 4}));
}

TEST(HashedNgrams, StayBelowTheBucketsAndOffPadding) {
  HashedNgrams few({.buckets = 5});
  std::set<int64_t> seen;
  for (const std::string& text : kSome)
    for (const int64_t one : tokens_of(few, text)) seen.insert(one);
  EXPECT_EQ(seen, (std::set<int64_t>{1, 2, 3, 4}));
  const foil::Shape after = few.shape_after({foil::Kind::text, {64}, 256});
  EXPECT_EQ(after.kind, foil::Kind::text);
  EXPECT_EQ(after.sizes, std::vector<int64_t>{256});
  EXPECT_EQ(after.range, 5);
}

TEST(HashedNgrams, TrainAsTheyEvaluateWithoutDropout) {
  HashedNgrams plain({});
  const foil::View trained = plain.apply(view_of_texts(kSome), place(std::ssize(kSome))),
                   seen = plain.evaluate(view_of_texts(kSome));
  EXPECT_TRUE(trained.data.equal(seen.data));
  EXPECT_TRUE(trained.length.equal(seen.length));
  EXPECT_EQ(seen.modality, "name_en");
  EXPECT_EQ(plain.evaluation_name(), "hashed_ngrams_w345_65536_256");
  EXPECT_EQ(HashedNgrams({.ngrams = {2}, .words = false, .length = 9}).evaluation_name(),
            "hashed_ngrams_2_65536_9");
}

TEST(HashedNgrams, OfAViewWithoutLengthsReadEveryByte) {
  HashedNgrams words({.ngrams = {}});
  foil::View view = view_of_texts({"ab cd"}, 5);
  view.length.reset();
  EXPECT_EQ(tokens_of(words.evaluate(view)), hashed({"ab", "cd"}, {}));
}

TEST(HashedNgrams, DropWordsWithTheirNgramsAtTheSaidRate) {
  HashedNgrams dropping({.ngrams = {3}, .word_dropout = 0.25}), whole({.ngrams = {3}});
  const int64_t n = 2000;
  const foil::View view = view_of_texts(Texts(static_cast<size_t>(n), "ab cd ef gh"));
  const foil::View out = dropping.apply(view, place(n));
  int64_t words = 0;
  for (int64_t b = 0; b < n; ++b) {
    const Tokens got = tokens_of(out, b);
    Texts kept, ngrams;
    for (const char* word : {"ab", "cd", "ef", "gh"}) {
      if (std::find(got.begin(), got.end(), token("words", word)) == got.end()) continue;
      kept.emplace_back(word);
      ngrams.push_back("<" + kept.back());
      ngrams.push_back(kept.back() + ">");
    }
    ASSERT_EQ(got, hashed(kept, ngrams)) << b;
    words += std::ssize(kept);
  }
  // Of a text that would lose all four, nothing is left out.
  const double all = std::pow(0.25, 4);
  expect_frequency(4 * n - words, 4 * n, 0.25 - all);
  EXPECT_TRUE(dropping.evaluate(view).data.equal(whole.evaluate(view).data));
}

TEST(HashedNgrams, NeverDropTheLastWord) {
  HashedNgrams dropping({.word_dropout = 0.999});
  const foil::View out = dropping.apply(view_of_texts(kSome), place(std::ssize(kSome)));
  for (int64_t b = 0; b < std::ssize(kSome); ++b)
    EXPECT_EQ(out.length[b].item<int64_t>() > 0, !kSome[static_cast<size_t>(b)].empty()) << b;
}

TEST(HashedNgrams, DependOnTheSampleAloneAndOnEveryPartOfThePlace) {
  HashedNgrams dropping({.word_dropout = 0.5});
  const foil::View view =
      view_of_texts({"a b c d e f g h", "one two three four five", "u v w x y z", "k l m n o p q r"});
  const auto of = [&](const Tensor& rows, const foil::AugmentContext& context) {
    foil::View some = view;
    some.data = view.data.index_select(0, rows);
    some.length = view.length.index_select(0, rows);
    return dropping.apply(some, context).data;
  };
  const Tensor all = at::arange(4), index = all * 1000003 + 17, back = all.flip(0);
  const Tensor whole = of(all, place(index, 5, 6, 7, 8));
  EXPECT_TRUE(of(back, place(index.flip(0), 5, 6, 7, 8)).equal(whole.flip(0)));
  for (int64_t b = 0; b < 4; ++b)
    EXPECT_TRUE(
        of(all.narrow(0, b, 1), place(index.narrow(0, b, 1), 5, 6, 7, 8)).equal(whole.narrow(0, b, 1)));
  EXPECT_FALSE(of(all, place(index, 6, 6, 7, 8)).equal(whole));
  EXPECT_FALSE(of(all, place(index, 5, 7, 7, 8)).equal(whole));
  EXPECT_FALSE(of(all, place(index, 5, 6, 8, 8)).equal(whole));
  EXPECT_FALSE(of(all, place(index, 5, 6, 7, 9)).equal(whole));
  EXPECT_FALSE(of(all, place(index + 100, 5, 6, 7, 8)).equal(whole));
}

TEST(HashedNgrams, RefuseWhatIsNoTextInBytes) {
  HashedNgrams plain({});
  EXPECT_EQ(refusal([&] {
              plain.shape_after({foil::Kind::text, {20}, 5000});
            }),
            "hashed_ngrams: the data is text of 5000 tokens, allowed: text as it was read, in bytes.");
  foil::View tokens = view_of_texts({"a"});
  tokens.data = tokens.data.to(at::kLong);
  EXPECT_EQ(refusal([&] { plain.evaluate(tokens); }),
            "hashed_ngrams got data [1, 64] of long int, allowed: text [B, L] in bytes");
  EXPECT_EQ(refusal([] { HashedNgrams({.ngrams = {}, .words = false}); }),
            "ngrams = [], allowed: a list of one or more sizes, as words = false.");
}
