// SPDX-License-Identifier: BSD-3-Clause
// JPEG by libturbojpeg, PNG by libpng, both from memory; only this file sees the two libraries.
#include "data/decode.h"

#include <foil/error.h>

#include <csetjmp>
#include <cstring>
#include <memory>

#include <png.h>
#include <turbojpeg.h>

#include "data/file.h"

namespace foil {
namespace {

constexpr int64_t kMostPixels = int64_t{1} << 28;  // more is a broken header, or a file made to exhaust memory

// [height, width, 3] -> [3, height, width].
void planes(const uint8_t* interleaved, int64_t pixels, uint8_t* out) {
  uint8_t *red = out, *green = out + pixels, *blue = out + 2 * pixels;
  for (int64_t i = 0; i < pixels; ++i) {
    red[i] = interleaved[3 * i];
    green[i] = interleaved[3 * i + 1];
    blue[i] = interleaved[3 * i + 2];
  }
}

class Jpeg {
 public:
  Jpeg(const std::string& path, const std::vector<uint8_t>& bytes)
      : path_(path), bytes_(bytes), handle_(tjInitDecompress(), tjDestroy) {
    int width = 0, height = 0, subsampling = 0;
    check(tjDecompressHeader3(handle_.get(), bytes_.data(), bytes_.size(), &width, &height, &subsampling, &colours_));
    if (width == 0 || height == 0) fail(Exit::data, path_, ": broken JPEG: it holds no image.");
    size = {height, width};
  }

  void decode(uint8_t* out) {
    const bool cmyk = colours_ == TJCS_CMYK || colours_ == TJCS_YCCK;
    const int format = cmyk ? TJPF_CMYK : TJPF_RGB;
    const int64_t pixels = size.height * size.width;
    std::vector<uint8_t> buffer(static_cast<size_t>(pixels * tjPixelSize[format]));
    check(tjDecompress2(handle_.get(), bytes_.data(), bytes_.size(), buffer.data(), 0, 0, 0, format, 0));
    if (cmyk) {  // stored inverted, as Adobe's programs write it
      for (int64_t i = 0; i < pixels; ++i) {
        const int key = buffer[static_cast<size_t>(4 * i + 3)];
        for (int64_t c = 0; c < 3; ++c) {
          buffer[static_cast<size_t>(3 * i + c)] = static_cast<uint8_t>((buffer[static_cast<size_t>(4 * i + c)] * key + 127) / 255);
        }
      }
    }
    planes(buffer.data(), pixels, out);
  }

  ImageSize size;

 private:
  // Lost data is an error; what libjpeg only remarks on (stray bytes between markers, odd scan parameters) is not.
  void check(int result) const {
    if (result == 0) return;
    const std::string message = tjGetErrorStr2(handle_.get());
    const bool lost =
        message.rfind("Premature", 0) == 0 || (message.rfind("Corrupt", 0) == 0 && message.find("extraneous") == std::string::npos);
    if (tjGetErrorCode(handle_.get()) == TJERR_WARNING && !lost) return;
    fail(Exit::data, path_, ": broken JPEG: ", message, ".");
  }

  const std::string& path_;
  const std::vector<uint8_t>& bytes_;
  std::unique_ptr<void, int (*)(tjhandle)> handle_;
  int colours_ = 0;
};

// libpng reports errors by longjmp: between setjmp and a jump lives no object with a destructor.
class Png {
 public:
  Png(const std::string& path, const std::vector<uint8_t>& bytes) : path_(path), bytes_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, stop, [](png_structp, png_const_charp) {});
    info_ = png_create_info_struct(png_);
    if (!read_header()) give_up();
  }
  ~Png() { png_destroy_read_struct(&png_, &info_, nullptr); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;

  void decode(uint8_t* out) {
    std::vector<uint8_t> buffer(static_cast<size_t>(3 * size.height * size.width));
    std::vector<png_bytep> rows;
    for (int64_t y = 0; y < size.height; ++y) rows.push_back(buffer.data() + 3 * y * size.width);
    if (!read_rows(rows.data())) give_up();
    planes(buffer.data(), size.height * size.width, out);
  }

  ImageSize size;

 private:
  static void stop(png_structp png, png_const_charp message) {
    auto* self = static_cast<Png*>(png_get_error_ptr(png));
    std::strncpy(self->message_, message, sizeof(self->message_) - 1);
    png_longjmp(png, 1);
  }
  static void next_bytes(png_structp png, png_bytep to, size_t count) {
    auto* self = static_cast<Png*>(png_get_io_ptr(png));
    if (count > self->bytes_.size() - self->at_) png_error(png, "the file ends early");
    std::memcpy(to, self->bytes_.data() + self->at_, count);
    self->at_ += count;
  }
  // A constructor that throws runs no destructor, so the constructor's call frees here too; freeing twice is harmless.
  [[noreturn]] void give_up() {
    png_destroy_read_struct(&png_, &info_, nullptr);
    fail(Exit::data, path_, ": broken PNG: ", message_, ".");
  }
  bool read_header() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, this, next_bytes);
    png_read_info(png_, info_);
    size = {png_get_image_height(png_, info_), png_get_image_width(png_, info_)};
    return true;
  }
  bool read_rows(png_bytep* rows) {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_expand(png_);
    png_set_scale_16(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

  const std::string& path_;
  const std::vector<uint8_t>& bytes_;
  size_t at_ = 0;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char message_[128] = "";
};

}  // namespace

ImageFile::ImageFile(const std::string& path) : path_(path), bytes_(read_bytes(path)) {
  const bool jpeg = bytes_.size() > 2 && bytes_[0] == 0xFF && bytes_[1] == 0xD8;
  png_ = bytes_.size() > 8 && png_sig_cmp(bytes_.data(), 0, 8) == 0;
  if (!jpeg && !png_) fail(Exit::data, path_, ": neither a JPEG nor a PNG file (", bytes_.size(), " bytes).");
  size_ = png_ ? Png(path_, bytes_).size : Jpeg(path_, bytes_).size;
  if (size_.height * size_.width > kMostPixels) {
    fail(Exit::data, path_, ": ", size_.height, "x", size_.width, " pixels, allowed: ", kMostPixels, " in all.");
  }
}

void ImageFile::decode(uint8_t* pixels) const {
  if (png_) {
    Png(path_, bytes_).decode(pixels);
  } else {
    Jpeg(path_, bytes_).decode(pixels);
  }
}

}  // namespace foil
