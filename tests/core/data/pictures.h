// SPDX-License-Identifier: BSD-3-Clause
// JPEG and PNG files made in memory, for the tests of the image reader.
#pragma once

#include "files.h"

#include <png.h>
#include <turbojpeg.h>

namespace foil::test {

// A PNG of `samples` in the file's own order (rows, then pixels, then channels; two bytes each, high first,
// at 16 bits).
inline Bytes png(int width, int height, int colour_type, int bits, const Bytes& samples,
                 const std::vector<png_color>& palette = {}) {
  Bytes out;
  png_structp file = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(file);
  auto append = [](png_structp f, png_bytep bytes, size_t count) {
    auto* to = static_cast<Bytes*>(png_get_io_ptr(f));
    to->insert(to->end(), bytes, bytes + count);
  };
  png_set_write_fn(file, &out, append, [](png_structp) {});
  png_set_IHDR(file, info, static_cast<unsigned>(width), static_cast<unsigned>(height), bits, colour_type,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!palette.empty()) png_set_PLTE(file, info, palette.data(), static_cast<int>(palette.size()));
  png_write_info(file, info);
  const size_t row = samples.size() / static_cast<size_t>(height);
  for (int y = 0; y < height; ++y) png_write_row(file, samples.data() + static_cast<size_t>(y) * row);
  png_write_end(file, info);
  png_destroy_write_struct(&file, &info);
  return out;
}

// A JPEG of interleaved samples: TJPF_RGB without chroma subsampling, TJPF_GRAY, or TJPF_CMYK.
inline Bytes jpeg(int width, int height, int format, const Bytes& samples, int quality = 95) {
  tjhandle handle = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const int subsampling = format == TJPF_GRAY ? TJSAMP_GRAY : TJSAMP_444;
  if (tjCompress2(handle, samples.data(), width, 0, height, format, &bytes, &size, subsampling, quality, 0) !=
      0)
    std::abort();
  Bytes out(bytes, bytes + size);
  tjFree(bytes);
  tjDestroy(handle);
  return out;
}

// A chunk of a PNG.
inline Bytes chunk(const std::string& type, const Bytes& body) {
  Bytes out;
  const auto word = [&](uint32_t value) {
    for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<uint8_t>(value >> shift));
  };
  word(static_cast<uint32_t>(body.size()));
  out.insert(out.end(), type.begin(), type.end());
  out.insert(out.end(), body.begin(), body.end());
  word(static_cast<uint32_t>(crc32(0, out.data() + 4, static_cast<uInt>(out.size() - 4))));
  return out;
}

// The JPEG with an EXIF segment that says how it lies, in either byte order.
inline Bytes with_orientation(const Bytes& jpeg, uint8_t orientation, bool big) {
  const Bytes little_endian = {'I', 'I', 42, 0,    8, 0, 0, 0, 2, 0, 0x0F, 1,           2, 0, 1, 0, 0, 0, 'x',
                               0,   0,   0,  0x12, 1, 3, 0, 1, 0, 0, 0,    orientation, 0, 0, 0, 0, 0, 0, 0};
  const Bytes big_endian = {'M', 'M', 0, 42, 0,    0, 0, 8, 0, 2, 1, 0x0F, 0,           2, 0, 0, 0, 1, 'x',
                            0,   0,   0, 1,  0x12, 0, 3, 0, 0, 0, 1, 0,    orientation, 0, 0, 0, 0, 0, 0};
  Bytes segment = {0xFF, 0xE1, 0, static_cast<uint8_t>(2 + 6 + big_endian.size()), 'E', 'x', 'i', 'f', 0, 0};
  const Bytes& tiff = big ? big_endian : little_endian;
  segment.insert(segment.end(), tiff.begin(), tiff.end());
  Bytes out = jpeg;
  out.insert(out.begin() + 2, segment.begin(), segment.end());
  return out;
}

// A smooth RGB picture, so that JPEG keeps it nearly: red grows to the right, green downwards, blue is the
// rest.
inline Bytes gradient(int width, int height) {
  Bytes out;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int red = 255 * x / std::max(width - 1, 1), green = 255 * y / std::max(height - 1, 1);
      out.insert(out.end(), {static_cast<uint8_t>(red), static_cast<uint8_t>(green),
                             static_cast<uint8_t>(255 - (red + green) / 2)});
    }
  }
  return out;
}

}  // namespace foil::test
