// SPDX-License-Identifier: BSD-3-Clause
// The description is a Python dictionary of three keys, which numpy writes in one way: it is matched, not
// evaluated.
#include "data/npy.h"

#include "data/file.h"
#include "data/lines.h"
#include "run/text.h"

#include <foil/error.h>

#include <torch/types.h>

#include <cstring>
#include <map>
#include <regex>

namespace foil {
namespace {

constexpr size_t kMagicBytes = 8;  // "\x93NUMPY", and the two numbers of the version

[[noreturn]] void refuse_file(const std::string& path, const std::string& what) {
  fail(Exit::data, printable(path), ": ", what);
}

// How long the description is, and where it begins.
std::pair<size_t, size_t> description_of(const std::vector<uint8_t>& bytes, const std::string& path) {
  const size_t width = bytes.size() > 6 && bytes[6] > 1 ? 4 : 2, begin = kMagicBytes + width;
  if (bytes.size() < begin || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3)
    refuse_file(path, "is no .npy file of the formats 1 to 3.");
  size_t length = 0;
  for (size_t i = 0; i < width; ++i) length |= static_cast<size_t>(bytes[kMagicBytes + i]) << (8 * i);
  if (length > bytes.size() - begin) refuse_file(path, "ends inside its description.");
  return {length, begin};
}

at::ScalarType type_of(const std::string& code, const std::string& path) {
  static const std::map<std::string, at::ScalarType> types = {
      {"<f2", at::kHalf}, {"<f4", at::kFloat}, {"<f8", at::kDouble}, {"<i4", at::kInt}, {"<i8", at::kLong}};
  const auto found = types.find(code);
  if (found == types.end())
    refuse_file(path, "holds numbers of the kind " + in_quotes(code) + ", allowed: <f2, <f4, <f8, <i4, <i8.");
  return found->second;
}

// "12, 34" -> {12, 34}.
std::vector<int64_t> sizes_of(const std::string& text, int64_t most, const std::string& path) {
  static const std::regex number("[0-9]+");
  std::vector<int64_t> sizes;
  int64_t all = 1;
  for (std::sregex_iterator it(text.begin(), text.end(), number), end; it != end; ++it) {
    const std::string digits = it->str();
    const int64_t size = digits.size() < 16 ? std::stoll(digits) : most + 1;
    if (size > most || (size > 0 && all > most / size)) refuse_file(path, "is shorter than its shape says.");
    all *= size;
    sizes.push_back(size);
  }
  return sizes;
}

}  // namespace

at::Tensor load_npy(const std::string& path) {
  const std::vector<uint8_t> bytes = read_bytes(path);
  const auto [length, begin] = description_of(bytes, path);
  const std::string text(reinterpret_cast<const char*>(bytes.data()) + begin, length);
  static const std::regex form(
      R"(\{'descr': '([^']{1,16})', 'fortran_order': (True|False), 'shape': \(([0-9, ]{0,200})\), \}\s*)");
  std::smatch parts;
  if (length > 4096 || !std::regex_match(text, parts, form))
    refuse_file(path, "its description is " + in_quotes(text) + ", allowed: that of one array of numbers.");
  if (parts[2] == "True") refuse_file(path, "is in Fortran order, allowed: C order.");
  const at::ScalarType type = type_of(parts[1], path);
  const auto held = static_cast<int64_t>(bytes.size() - begin - length);
  const auto width = static_cast<int64_t>(c10::elementSize(type));
  const std::vector<int64_t> sizes = sizes_of(parts[3], held / width, path);
  const at::Tensor array = torch::empty(sizes, type);
  if (static_cast<int64_t>(array.nbytes()) != held)
    refuse_file(path, "holds " + std::to_string(held) + " bytes of numbers, its shape needs " +
                          std::to_string(array.nbytes()) + ".");
  if (held > 0) std::memcpy(array.mutable_data_ptr(), bytes.data() + begin + length, array.nbytes());
  return array;
}

}  // namespace foil
