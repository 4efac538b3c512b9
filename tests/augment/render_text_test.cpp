// SPDX-License-Identifier: BSD-3-Clause
#include "augment/render_text.cpp"

#include "augment_test.h"

using namespace foil::test;

namespace {

// uint8 [H, W]; letters of 8 x 16 pixels, wide ones of 16 x 16.
Tensor picture(const std::string& text, int64_t height = 64, int64_t width = 64) {
  RenderText::Options options;
  options.size = {height, width};
  return RenderText(options).evaluate(view_of_texts({text}, 64, 'x')).data[0][0];
}

// A glyph of 8 x 16 as unifont.hex lists it: two hexadecimal digits a row.
Tensor published(const std::string& hex) {
  Tensor rows = at::zeros({16, 8}, at::kByte);
  for (int64_t y = 0; y < 16; ++y) {
    const int row = std::stoi(hex.substr(static_cast<size_t>(2 * y), 2), nullptr, 16);
    for (int64_t x = 0; x < 8; ++x) rows[y][x] = row >> (7 - x) & 1 ? 255 : 0;
  }
  return rows;
}

TEST(RenderText, DrawsTheLettersOfUnifont) {
  EXPECT_TRUE(torch::equal(picture("A", 16, 8), published("0000000018242442427E424242420000")));
  EXPECT_TRUE(
      torch::equal(picture("hi", 16, 16).slice(1, 0, 8), published("0000004040405C624242424242420000")));
}

TEST(RenderText, BreaksLinesAtBlanksAndOnlyLongWordsInside) {
  const auto line = [](const std::string& text) { return picture(text, 16, 32); };  // four letters
  const auto lines = [&](const std::string& a, const std::string& b) { return at::cat({line(a), line(b)}); };
  EXPECT_TRUE(torch::equal(picture("ab cd", 32, 32), lines("ab", "cd")));
  EXPECT_TRUE(torch::equal(picture("a b c", 32, 32), lines("a b", "c")));
  EXPECT_TRUE(torch::equal(picture("abcdef", 32, 32), lines("abcd", "ef")));
  EXPECT_TRUE(torch::equal(picture("a\nb", 32, 32), lines("a", "b")));
  EXPECT_TRUE(torch::equal(picture("ab cd ef gh", 32, 32), lines("ab", "cd"))) << "no room for the rest";
  EXPECT_FALSE(torch::equal(line("ab"), line("abcd")));
}

TEST(RenderText, TakesCharactersOfManyBytes) {
  const Tensor two = picture("\u4e16\u754c", 16, 32);
  EXPECT_TRUE(torch::equal(two.slice(1, 0, 16), picture("\u4e16", 16, 16)));
  EXPECT_TRUE(torch::equal(two.slice(1, 16), picture("\u754c", 16, 16)));
  EXPECT_FALSE(torch::equal(two.slice(1, 0, 16), two.slice(1, 16)));
  EXPECT_TRUE(torch::equal(picture("\xe4\xb8", 16, 32), picture("\uFFFD", 16, 32))) << "broken UTF-8";
  EXPECT_TRUE(torch::equal(picture("\xff"
                                   "a",
                                   16, 32),
                           picture("\uFFFD"
                                   "a",
                                   16, 32)));
}

TEST(RenderText, GivesImagesWithACopyAChannel) {
  RenderText::Options options;
  options.channels = 3;
  RenderText render(options);
  const foil::View view = render.apply(view_of_texts({"one", "", "two"}), place(3));
  EXPECT_EQ(view.kind, foil::Kind::image);
  EXPECT_FALSE(view.length.defined());
  EXPECT_EQ(view.data.sizes(), (at::IntArrayRef{3, 3, 64, 64}));
  EXPECT_TRUE(torch::equal(view.data.select(1, 0), view.data.select(1, 2)));
  EXPECT_EQ(view.data[1].sum().item<int64_t>(), 0) << "an empty text is black";
  const foil::Shape shape = render.shape_after({foil::Kind::text, {64}, 256});
  EXPECT_EQ(shape.kind, foil::Kind::image);
  EXPECT_EQ(shape.sizes, (std::vector<int64_t>{3, 64, 64}));
  EXPECT_EQ(render.evaluation_name(), "render_text64x64_16_Unifont");
}

TEST(RenderText, RefusesWhatItCannotDraw) {
  RenderText::Options options;
  options.font = "/none.otf";
  EXPECT_EQ(error_of([&] { RenderText{options}; }),
            "2 font = \"/none.otf\", allowed: a font file that is there; GNU Unifont is in Debian's "
            "fonts-unifont.");
  options = {};
  options.size = {12, 64};
  EXPECT_EQ(error_of([&] { RenderText{options}; }),
            "2 font_size = 16, allowed: a size whose line of 16 pixels fits into the height of 12.");
  options.size = {64};
  EXPECT_EQ(error_of([&] { RenderText{options}; }),
            "2 size = a list of 1, allowed: two sizes, [height, width].");
  RenderText render({});
  EXPECT_NE(error_of([&] {
              render.shape_after({foil::Kind::text, {64}, 512});
            }).find("text of 512 tokens"),
            std::string::npos);
}

}  // namespace
