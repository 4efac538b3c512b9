// SPDX-License-Identifier: BSD-3-Clause
// Reading an IDX file: what its header promises is held against the bytes on the disk first.
#include "data/idx_file.h"

#include "run/file.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <array>
#include <cstring>
#include <functional>
#include <numeric>

namespace foil {
namespace {

constexpr int64_t kMostRatio = 100;                 // a gzip file may expand so many times
constexpr int64_t kMostAnyway = int64_t{64} << 20;  // or to so many bytes

int64_t width_of(IdxType type) { return type == IdxType::bytes ? 1 : type == IdxType::shorts ? 2 : 4; }

at::ScalarType scalar_of(IdxType type) {
  return type == IdxType::bytes ? at::kByte : type == IdxType::shorts ? at::kShort : at::kInt;
}

// Big-endian numbers, in place, to those of this machine.
template <class T>
void from_big_endian(T* number, int64_t count) {
  for (T* end = number + count; number != end; ++number) {
    std::array<uint8_t, sizeof(T)> byte{};
    std::memcpy(byte.data(), number, sizeof(T));
    uint32_t value = 0;
    for (const uint8_t one : byte) value = value << 8 | one;
    *number = static_cast<T>(value);
  }
}

}  // namespace

IdxFile::IdxFile(const std::string& path, int low, int high, const char* noun, IdxType type)
    : file_(path), noun_(noun), type_(type), width_(width_of(type)) {
  read_header(low, high);
  check_size();
}

Tensor IdxFile::read() {
  Tensor data = torch::empty(sizes_, scalar_of(type_));
  const auto bytes = static_cast<int64_t>(data.nbytes());
  const int64_t got = file_.read(data.mutable_data_ptr(), bytes);
  if (got < bytes) ends_after(got);
  uint8_t more = 0;
  if (file_.read(&more, 1) > 0) goes_on();
  if (type_ == IdxType::shorts) from_big_endian(data.mutable_data_ptr<int16_t>(), data.numel());
  if (type_ == IdxType::ints) from_big_endian(data.mutable_data_ptr<int32_t>(), data.numel());
  return data;
}

void IdxFile::read_header(int low, int high) {
  const std::string& path = file_.path();
  std::array<uint8_t, 4> magic{};
  if (file_.read(magic.data(), 4) < 4) fail(Exit::data, path, ": the file ends inside its header.");
  const int dimensions = magic[3];
  const auto type = static_cast<uint8_t>(type_);
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != type || dimensions < low || dimensions > high) {
    const std::string other = low == high ? "" : fmt::format(" or 00 00 {:02x} {:02x}", type, high);
    fail(Exit::data, path, ": starts with ",
         fmt::format("{:02x} {:02x} {:02x} {:02x}, expected for {}: 00 00 {:02x} {:02x}{}.", magic[0],
                     magic[1], magic[2], magic[3], noun_, type, low, other));
  }
  for (int d = 0; d < dimensions; ++d) {
    std::array<uint8_t, 4> word{};
    if (file_.read(word.data(), 4) < 4) fail(Exit::data, path, ": the file ends inside its header.");
    sizes_.push_back(int64_t{word[0]} << 24 | int64_t{word[1]} << 16 | int64_t{word[2]} << 8 |
                     int64_t{word[3]});
  }
  for (size_t d = 1; d < sizes_.size(); ++d) {
    if (sizes_[d] == 0)
      fail(Exit::data, path, ": ", noun_, " of size ", at::IntArrayRef(sizes_).slice(1), ".");
  }
  if (sizes_[0] == 0) fail(Exit::data, path, ": holds no ", noun_, ".");
}

// The product of the header against the bytes on the disk.
void IdxFile::check_size() {
  const std::string& path = file_.path();
  double product = static_cast<double>(width_);  // of four 32-bit numbers and this: it fits no integer
  for (const int64_t size : sizes_) product *= static_cast<double>(size);
  const int64_t bytes = file_size(path);
  if (product > 1032.0 * static_cast<double>(bytes)) {  // deflate expands no further
    fail(Exit::data, path, ": ", sizes_[0], " ", noun_, " expected, a file of ", bytes,
         " bytes cannot hold them.");
  }
  const int64_t promised = static_cast<int64_t>(product), header = 4 + 4 * std::ssize(sizes_);
  if (!file_.compressed() && promised > bytes - header) ends_after(bytes - header);
  if (!file_.compressed() && promised < bytes - header) goes_on();
  if (file_.compressed() && promised > std::max(kMostAnyway, kMostRatio * bytes)) {
    fail(Exit::data, path, ": ", sizes_[0], " ", noun_, " are ", readable_bytes(promised), ", more than ",
         kMostRatio, " times the ", readable_bytes(bytes),
         " of the file. If that is right, gunzip it first.");
  }
  require_memory(path, product);
}

void IdxFile::ends_after(int64_t bytes) const {
  const int64_t row = std::accumulate(sizes_.begin() + 1, sizes_.end(), width_, std::multiplies<>());
  fail(Exit::data, file_.path(), ": ", sizes_[0], " ", noun_, " expected, the file ends after ", bytes / row,
       ".");
}

void IdxFile::goes_on() const {
  fail(Exit::data, file_.path(), ": ", sizes_[0], " ", noun_, " expected, the file goes on after them.");
}

}  // namespace foil
