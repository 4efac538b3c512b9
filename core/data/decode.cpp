// SPDX-License-Identifier: BSD-3-Clause
// JPEG by libturbojpeg, PNG by libpng, both from memory; only this file sees the two libraries.
#include "data/decode.h"

#include "data/file.h"
#include "run/text.h"

#include <foil/error.h>

#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <memory>

namespace foil {
namespace {

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
    check(tjDecompressHeader3(handle_.get(), bytes_.data(), bytes_.size(), &width, &height, &subsampling,
                              &colours_));
    if (width == 0 || height == 0) fail(Exit::data, path_, ": broken JPEG: it holds no image.");
    size = {height, width};
  }

  void decode(uint8_t* out) {
    const bool cmyk = colours_ == TJCS_CMYK || colours_ == TJCS_YCCK;
    const int format = cmyk ? TJPF_CMYK : TJPF_RGB;
    const int64_t pixels = size.height * size.width;
    std::vector<uint8_t> buffer(static_cast<size_t>(pixels * tjPixelSize[format]));
    check(tjDecompress2(handle_.get(), bytes_.data(), bytes_.size(), buffer.data(), 0, 0, 0, format,
                        TJFLAG_LIMITSCANS));
    if (cmyk) {  // stored inverted, as Adobe's programs write it
      for (int64_t i = 0; i < pixels; ++i) {
        const int key = buffer[static_cast<size_t>(4 * i + 3)];
        for (int64_t c = 0; c < 3; ++c) {
          buffer[static_cast<size_t>(3 * i + c)] =
              static_cast<uint8_t>((buffer[static_cast<size_t>(4 * i + c)] * key + 127) / 255);
        }
      }
    }
    planes(buffer.data(), pixels, out);
  }

  ImageSize size;

 private:
  // Lost data is an error; what libjpeg only remarks on (stray bytes between markers, odd scan parameters) is
  // not.
  void check(int result) const {
    if (result == 0) return;
    const std::string message = tjGetErrorStr2(handle_.get());
    const bool lost = message.rfind("Premature", 0) == 0 ||
                      (message.rfind("Corrupt", 0) == 0 && message.find("extraneous") == std::string::npos);
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
  // A constructor that throws runs no destructor, so the constructor's call frees here too; freeing twice is
  // harmless.
  [[noreturn]] void give_up() {
    png_destroy_read_struct(&png_, &info_, nullptr);
    fail(Exit::data, path_, ": broken PNG: ", message_, ".");
  }
  bool read_header() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_read_fn(png_, this, next_bytes);
    // Texts, profiles and other such chunks, which may be compressed, are passed over unread.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
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

ImageFile::ImageFile(const std::string& path, int64_t largest)
    : ImageFile(printable(path), read_bytes(path, largest_file(largest)), largest) {}

ImageFile::ImageFile(std::string place, std::vector<uint8_t> bytes, int64_t largest)
    : place_(std::move(place)), bytes_(std::move(bytes)) {
  const bool jpeg = bytes_.size() > 2 && bytes_[0] == 0xFF && bytes_[1] == 0xD8;
  png_ = bytes_.size() > 8 && png_sig_cmp(bytes_.data(), 0, 8) == 0;
  if (!jpeg && !png_)
    fail(Exit::data, place_, ": neither a JPEG nor a PNG file (", bytes_.size(), " bytes).");
  size_ = png_ ? Png(place_, bytes_).size : Jpeg(place_, bytes_).size;
  if (size_.height * size_.width > largest) {
    fail(Exit::data, place_, ": ", size_.height, "x", size_.width, " are ", size_.height * size_.width,
         " pixels, allowed: at most data.largest_image = ", largest, ".");
  }
}

void ImageFile::decode(uint8_t* pixels) const {
  if (png_) {
    Png(place_, bytes_).decode(pixels);
  } else {
    Jpeg(place_, bytes_).decode(pixels);
  }
}

namespace {

// Numbers of EXIF, in the byte order that its TIFF header names; 0 beyond the end.
struct Tiff {
  const uint8_t* bytes;
  size_t size;
  bool big;
  uint32_t number(size_t at, size_t length) const {
    if (at > size || length > size - at) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < length; ++i) value |= uint32_t{bytes[at + i]} << 8 * (big ? length - 1 - i : i);
    return value;
  }
};

int orientation_of(const Tiff& tiff) {
  constexpr uint32_t kOrientation = 0x0112;
  const size_t directory = tiff.number(4, 4), entries = tiff.number(directory, 2);
  for (size_t e = 0; e < entries; ++e) {
    const size_t entry = directory + 2 + 12 * e;
    if (entry >= tiff.size) return 0;
    if (tiff.number(entry, 2) != kOrientation) continue;
    const uint32_t value = tiff.number(entry + 8, 2);
    return value <= 8 ? static_cast<int>(value) : 0;
  }
  return 0;
}

}  // namespace

int exif_orientation(const std::vector<uint8_t>& bytes) {
  if (bytes.size() < 4 || bytes[0] != 0xFF || bytes[1] != 0xD8) return 0;
  for (size_t at = 2; at + 4 <= bytes.size() && bytes[at] == 0xFF;) {  // the segments before the pixels
    const uint8_t marker = bytes[at + 1];
    const size_t length = size_t{bytes[at + 2]} << 8 | bytes[at + 3];
    constexpr uint8_t kApp1 = 0xE1, kScan = 0xDA;
    if (marker == kScan || length < 2) return 0;
    const size_t body = at + 4, end = std::min(at + 2 + length, bytes.size());
    if (marker == kApp1 && end >= body + 14 && std::memcmp(&bytes[body], "Exif\0\0", 6) == 0) {
      return orientation_of({&bytes[body + 6], end - body - 6, bytes[body + 6] == 'M'});
    }
    at += 2 + length;
  }
  return 0;
}

}  // namespace foil
