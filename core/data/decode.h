// SPDX-License-Identifier: BSD-3-Clause
// JPEG and PNG files to RGB bytes. What a file is, its first bytes say, not its name. As in torchvision's
// ImageFolder, grey becomes RGB, alpha is dropped, colour profiles and EXIF orientation are ignored. 16 bits
// are scaled to 8. The size that a file claims is looked at before anything is decoded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace foil {

struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const ImageSize&) const = default;
};

// An image file in memory. Every failure is an Error (Exit::data) that names the file.
class ImageFile {
 public:
  // Refuses more than `largest` pixels, naming data.largest_image.
  ImageFile(const std::string& path, int64_t largest);
  // Of bytes that were read already; `place` leads the messages.
  ImageFile(std::string place, std::vector<uint8_t> bytes, int64_t largest);
  ImageSize size() const { return size_; }
  // Writes the pixels as [3, height, width].
  void decode(uint8_t* pixels) const;

 private:
  std::string place_;  // as it may be shown
  std::vector<uint8_t> bytes_;
  ImageSize size_;
  bool png_ = false;
};

// Bytes of the largest file whose image may have so many pixels: unpacked ones of 16 bits in RGBA, and what
// else a file may hold.
constexpr int64_t largest_file(int64_t pixels) { return 8 * pixels + (1 << 20); }

// How the beginning of a JPEG file says that its picture lies, 1 (upright) to 8 (EXIF 2.32, tag 0x0112); 0
// where it does not say.
int exif_orientation(const std::vector<uint8_t>& bytes);

}  // namespace foil
