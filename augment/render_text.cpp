// SPDX-License-Identifier: BSD-3-Clause
// Text as a picture of itself, so that one encoder of images takes both: no tokens, no vocabulary, any
// language that the font has. Tschannen, Mustafa and Houlsby, "CLIPPO: image-and-language understanding from
// pixels only", CVPR 2023, whose font is GNU Unifont, too.
//
// White letters on black: [B, channels, H, W] uint8, a channel like the other. Lines are filled from the
// left, broken at blanks, inside a word only where it is longer than a line, and what does not fit into the
// picture is left out. One glyph a code point, from left to right: signs that join or change their places in
// their script are drawn as they stand alone.
//
//   [[augment]]
//   name = "render_text"
//   size = [32, 128]
#include <foil/plugin.h>

#include <ft2build.h>
#include FT_FREETYPE_H

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string_view>
#include <unordered_map>

namespace {
using foil::Tensor;

constexpr char32_t kReplacement = 0xFFFD;  // of what is no character

// The next code point of UTF-8 text, cut off its beginning.
char32_t take_character(std::string_view& text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  const size_t length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  char32_t character = length == 1 ? first : first & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if (i >= text.size() || (byte(i) & 0xC0) != 0x80) {
      text.remove_prefix(i);
      return kReplacement;
    }
    character = character << 6 | (byte(i) & 0x3F);
  }
  text.remove_prefix(length);
  return character;
}

// Pixels of a character, 0 to 255, and where they lie from the pen, which stands on the baseline.
struct Glyph {
  int64_t left = 0, up = 0, width = 0, height = 0, advance = 0;
  std::vector<uint8_t> pixels = {};
};

class Font {
 public:
  Font(const std::string& path, int64_t size) {
    if (FT_Init_FreeType(&library_) != 0) foil::fail(foil::Exit::failure, "FreeType cannot be set up.");
    if (FT_New_Face(library_, path.c_str(), 0, &face_) != 0 ||
        FT_Set_Pixel_Sizes(face_, 0, static_cast<FT_UInt>(size)) != 0) {
      FT_Done_FreeType(library_);
      foil::refuse("font", "\"" + path + "\"",
                   std::filesystem::exists(path) ? "a font that FreeType reads at this size"
                                                 : "a font file that is there; GNU Unifont is in Debian's "
                                                   "fonts-unifont");
    }
  }
  ~Font() {
    FT_Done_Face(face_);
    FT_Done_FreeType(library_);
  }
  Font(const Font&) = delete;
  Font& operator=(const Font&) = delete;

  int64_t ascent() const { return face_->size->metrics.ascender / 64; }
  int64_t line_height() const { return (face_->size->metrics.height + 63) / 64; }
  std::string name() const { return face_->family_name ? face_->family_name : "font"; }

  const Glyph& glyph(char32_t character) {
    const auto [at, is_new] = glyphs_.try_emplace(character);
    if (!is_new || FT_Load_Char(face_, character, FT_LOAD_RENDER | FT_LOAD_NO_HINTING) != 0)
      return at->second;
    const FT_GlyphSlot slot = face_->glyph;
    const FT_Bitmap& bitmap = slot->bitmap;
    at->second = {slot->bitmap_left, slot->bitmap_top, bitmap.width, bitmap.rows,
                  (slot->advance.x + 32) / 64};
    for (unsigned y = 0; y < bitmap.rows; ++y) {
      const uint8_t* const row = bitmap.buffer + static_cast<ptrdiff_t>(y) * bitmap.pitch;
      at->second.pixels.insert(at->second.pixels.end(), row, row + bitmap.width);
    }
    return at->second;
  }

 private:
  FT_Library library_ = nullptr;
  FT_Face face_ = nullptr;
  std::unordered_map<char32_t, Glyph> glyphs_;
};

// One picture, black, and the pen that writes into it.
class Page {
 public:
  Page(Font& font, uint8_t* pixels, int64_t height, int64_t width)
      : font_(font), pixels_(pixels), height_(height), width_(width) {}

  void write(std::string_view text) {
    std::u32string word;
    while (!text.empty() && !full()) {
      const char32_t character = take_character(text);
      if (character > ' ') word += character;
      if (character > ' ' && !text.empty()) continue;
      put(word);
      word.clear();
      if (character == '\n') {
        new_line();
      } else if (x_ > 0) {
        x_ += font_.glyph(' ').advance;
      }
    }
  }

 private:
  bool full() const { return top_ + font_.line_height() > height_; }
  void new_line() {
    x_ = 0;
    top_ += font_.line_height();
  }
  void put(const std::u32string& word) {
    int64_t length = 0;
    for (const char32_t character : word) length += font_.glyph(character).advance;
    if (x_ > 0 && x_ + length > width_) new_line();
    for (const char32_t character : word) {
      const Glyph& glyph = font_.glyph(character);
      if (x_ > 0 && x_ + glyph.advance > width_) new_line();
      if (full()) return;
      draw(glyph);
      x_ += glyph.advance;
    }
  }
  void draw(const Glyph& glyph) {
    for (int64_t y = 0; y < glyph.height; ++y) {
      const int64_t row = top_ + font_.ascent() - glyph.up + y;
      if (row < 0 || row >= height_) continue;
      for (int64_t x = 0; x < glyph.width; ++x) {
        const int64_t column = x_ + glyph.left + x;
        if (column < 0 || column >= width_) continue;
        uint8_t& pixel = pixels_[row * width_ + column];
        pixel = std::max(pixel, glyph.pixels[static_cast<size_t>(y * glyph.width + x)]);
      }
    }
  }

  Font& font_;
  uint8_t* pixels_;
  int64_t height_, width_, x_ = 0, top_ = 0;
};

class RenderText final : public foil::Augmentation {
 public:
  struct Options {
    std::vector<int64_t> size = {64, 64};
    int64_t font_size = 16;
    std::string font = "/usr/share/fonts/opentype/unifont/unifont.otf";
    int64_t channels = 1;
    void describe(foil::Fields& f) {
      f.integers("size", size, "height and width of the picture in pixels", foil::between(1, 4096));
      f.integer("font_size", font_size, "height of the letters in pixels", foil::between(4, 256));
      f.path("font", font, "file of the font; GNU Unifont where Debian's fonts-unifont has it");
      f.integer("channels", channels, "of the picture, a copy each", foil::between(1, 16));
    }
  };

  explicit RenderText(Options options) : options_(std::move(options)) {
    if (options_.size.size() != 2)
      foil::refuse("size", "a list of " + std::to_string(options_.size.size()), "two sizes, [height, width]");
    font_ = std::make_unique<Font>(options_.font, options_.font_size);
    if (font_->line_height() > options_.size[0])
      foil::refuse("font_size", options_.font_size,
                   "a size whose line of " + std::to_string(font_->line_height()) +
                       " pixels fits into the height of " + std::to_string(options_.size[0]));
  }

  std::vector<foil::Kind> kinds() const override { return {foil::Kind::text}; }

  foil::Shape shape_after(const foil::Shape& before) const override {
    if (before.kind != foil::Kind::text || before.range != 256)
      foil::fail(foil::Exit::usage, "render_text: the data is ", foil::name_of(before.kind), " of ",
                 before.range, " tokens, allowed: text as it was read, in bytes.");
    return {foil::Kind::image, {options_.channels, options_.size[0], options_.size[1]}};
  }

  foil::View apply(const foil::View& view, const foil::AugmentContext&) override { return evaluate(view); }

  foil::View evaluate(const foil::View& view) override {
    if (view.data.dim() != 2 || view.data.scalar_type() != at::kByte)
      foil::fail(foil::Exit::usage, "render_text got data ", view.data.sizes(), " of ", view.data.dtype(),
                 ", allowed: text [B, L] in bytes");
    const Tensor bytes = view.data.cpu().contiguous();  // [B, L]
    const int64_t rows = bytes.size(0), longest = bytes.size(1);
    const int64_t height = options_.size[0], width = options_.size[1];
    const Tensor length =
        view.length.defined() ? view.length.contiguous() : at::full({rows}, longest, at::kLong);
    const Tensor pictures = at::zeros({rows, 1, height, width}, at::kByte);
    const auto* text = reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>());
    for (int64_t b = 0; b < rows; ++b)
      Page(*font_, pictures.mutable_data_ptr<uint8_t>() + b * height * width, height, width)
          .write({text + b * longest, static_cast<size_t>(length.const_data_ptr<int64_t>()[b])});
    foil::View out = view;
    out.kind = foil::Kind::image;
    out.data = pictures.expand({rows, options_.channels, height, width}).to(view.data.device());
    out.length = Tensor();
    return out;
  }

  // "render_text64x64_16_Unifont"
  std::string evaluation_name() const override {
    std::string font = font_->name();
    std::replace_if(
        font.begin(), font.end(), [](char c) { return c == ' ' || c == '/' || c == '-'; }, '_');
    return "render_text" + std::to_string(options_.size[0]) + "x" + std::to_string(options_.size[1]) + "_" +
           std::to_string(options_.font_size) + "_" + font;
  }

 private:
  Options options_;
  std::unique_ptr<Font> font_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<RenderText>("render_text"); }
