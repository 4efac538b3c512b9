// SPDX-License-Identifier: BSD-3-Clause
// JPEG and PNG files to RGB bytes. What a file is, its first bytes say, not its name. As in torchvision's ImageFolder, grey becomes
// RGB, alpha is dropped, colour profiles and EXIF orientation are ignored. 16 bits are scaled to 8.
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
  explicit ImageFile(const std::string& path);
  ImageSize size() const { return size_; }
  // Writes the pixels as [3, height, width].
  void decode(uint8_t* pixels) const;

 private:
  std::string path_;
  std::vector<uint8_t> bytes_;
  ImageSize size_;
  bool png_ = false;
};

}  // namespace foil
