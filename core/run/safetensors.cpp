// SPDX-License-Identifier: BSD-3-Clause
// Reading is suspicious of every number: nothing in the header is believed before it was checked against the
// size of the file.
#include "run/safetensors.h"

#include "run/file.h"
#include "run/json.h"

#include <foil/error.h>

#include <torch/types.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace foil {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors is little-endian");

constexpr uint64_t kHeaderLimit = 100'000'000;
constexpr uint64_t kLengthBytes = 8;
constexpr size_t kMostSizes = 64;  // of a tensor: more than that LibTorch cannot calculate with
constexpr const char* kMetadata = "__metadata__";

struct Dtype {
  const char* name;
  at::ScalarType type;
};
// In the order in which the Python package lays tensors out.
constexpr Dtype kDtypes[] = {
    {"I64", at::kLong}, {"F64", at::kDouble}, {"F32", at::kFloat}, {"I32", at::kInt}, {"BF16", at::kBFloat16},
    {"F16", at::kHalf}, {"I16", at::kShort},  {"I8", at::kChar},   {"U8", at::kByte}, {"BOOL", at::kBool}};

// One tensor as the header describes it, checked for itself.
struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin;
  uint64_t end;
};

// The beginning of what a file says, for a message: the whole may be long.
std::string excerpt(std::string text) {
  constexpr size_t kMost = 200;
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}
std::string excerpt(const nlohmann::json& value) { return excerpt(value.dump()); }

// Reads the fields of one tensor, each of them with its own complaint.
class EntryReader {
 public:
  EntryReader(const std::string& path, const std::string& name, const nlohmann::json& fields)
      : place_(path + ": tensor '" + excerpt(name) + "'"), name_(name), fields_(fields) {
    if (!fields.is_object())
      fail(Exit::data, place_, " is described by ", excerpt(fields), ", allowed: an object");
  }

  Entry read() const {
    Entry entry{name_, dtype(), shape(), 0, 0};
    const nlohmann::json& offsets = field("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2) {
      fail(Exit::data, place_, " has data_offsets ", excerpt(offsets), ", allowed: [begin, end]");
    }
    entry.begin = count("data_offsets", offsets[0]);
    entry.end = count("data_offsets", offsets[1]);
    if (entry.end < entry.begin)
      fail(Exit::data, place_, " ends at byte ", entry.end, ", before it begins at ", entry.begin);
    const uint64_t needed = bytes_of(entry);
    if (entry.end - entry.begin != needed) {
      fail(Exit::data, place_, " has ", entry.end - entry.begin, " bytes, its shape and dtype need ", needed);
    }
    return entry;
  }

 private:
  const nlohmann::json& field(const char* key) const {
    const auto found = fields_.find(key);
    if (found == fields_.end()) fail(Exit::data, place_, " has no ", key);
    return *found;
  }

  uint64_t count(const char* key, const nlohmann::json& value) const {
    if (!value.is_number_unsigned())
      fail(Exit::data, place_, " has ", excerpt(value), " in ", key, ", allowed: integers >= 0");
    return value.get<uint64_t>();
  }

  at::ScalarType dtype() const {
    const nlohmann::json& value = field("dtype");
    std::vector<std::string> known;
    for (const Dtype& dtype : kDtypes) {
      if (value == dtype.name) return dtype.type;
      known.push_back(dtype.name);
    }
    fail(Exit::data, place_, " has dtype ", excerpt(value), ".",
         known_names("dtypes", value.is_string() ? value.get<std::string>() : "", known));
  }

  std::vector<int64_t> shape() const {
    const nlohmann::json& value = field("shape");
    if (!value.is_array())
      fail(Exit::data, place_, " has shape ", excerpt(value), ", allowed: a list of integers");
    if (value.size() > kMostSizes)
      fail(Exit::data, place_, " has ", value.size(), " sizes, allowed: at most ", kMostSizes);
    std::vector<int64_t> sizes;
    for (const nlohmann::json& size : value) sizes.push_back(static_cast<int64_t>(count("shape", size)));
    return sizes;
  }

  uint64_t bytes_of(const Entry& entry) const {
    int64_t bytes = static_cast<int64_t>(at::elementSize(entry.type));
    bool empty = false;
    for (const int64_t size :
         entry.shape) {  // sizes of zero too must not hide an overflow: strides are products of the others
      if (size < 0 || __builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) {
        fail(Exit::data, place_, " has shape ", excerpt(field("shape")),
             ", more elements than 64 bits count");
      }
      empty = empty || size == 0;
    }
    return empty ? 0 : static_cast<uint64_t>(bytes);
  }

  std::string place_;
  const std::string& name_;
  const nlohmann::json& fields_;
};

std::map<std::string, std::string> read_metadata(const nlohmann::json& value, const std::string& path) {
  if (!value.is_object())
    fail(Exit::data, path, ": ", kMetadata, " is ", excerpt(value), ", allowed: an object of texts");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string())
      fail(Exit::data, path, ": ", kMetadata, ".", excerpt(key), " is ", excerpt(text), ", allowed: a text");
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

// The tensors must tile the data exactly, in any order.
void check_layout(std::vector<Entry>& entries, uint64_t data_bytes, const std::string& path) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t filled = 0;
  const Entry* before = nullptr;
  for (const Entry& entry : entries) {
    if (entry.end > data_bytes) {
      fail(Exit::data, path, ": tensor '", entry.name, "' ends at byte ", entry.end, " of ", data_bytes,
           " bytes of data: the file is cut short");
    }
    if (entry.begin < filled)
      fail(Exit::data, path, ": tensor '", before->name, "' overlaps '", entry.name, "'");
    if (entry.begin > filled)
      fail(Exit::data, path, ": hole of ", entry.begin - filled, " bytes before tensor '", entry.name, "'");
    filled = entry.end;
    before = &entry;
  }
  if (filled != data_bytes)
    fail(Exit::data, path, ": ", data_bytes - filled, " trailing bytes after the last tensor");
}

at::Tensor copy_tensor(const Entry& entry, const char* data, const std::string& path) {
  at::Tensor tensor = at::empty(entry.shape, at::TensorOptions().dtype(entry.type));
  if (entry.end == entry.begin) return tensor;
  if (entry.type == at::kBool &&
      std::any_of(data + entry.begin, data + entry.end, [](char c) { return c != 0 && c != 1; })) {
    fail(Exit::data, path, ": tensor '", entry.name, "' has a BOOL that is neither 0 nor 1");
  }
  std::memcpy(tensor.data_ptr(), data + entry.begin, entry.end - entry.begin);
  return tensor;
}

size_t layout_rank(const std::string& name, const at::Tensor& tensor) {
  if (name == kMetadata) fail(Exit::failure, "a tensor cannot be named '", kMetadata, "' in safetensors");
  if (!tensor.defined() || tensor.layout() != at::kStrided) {
    fail(Exit::failure, "tensor '", name, "' is undefined or sparse: safetensors cannot hold it");
  }
  for (size_t i = 0; i < std::size(kDtypes); ++i) {
    if (kDtypes[i].type == tensor.scalar_type()) return i;
  }
  fail(Exit::failure, "tensor '", name, "' is ", at::toString(tensor.scalar_type()),
       ": safetensors has no such dtype here");
}

}  // namespace

TensorFile load_tensors(const std::string& path) { return parse_tensors(read_file(path), path); }

TensorFile parse_tensors(std::string_view bytes, const std::string& path) {
  if (bytes.size() < kLengthBytes)
    fail(Exit::data, path, ": ", bytes.size(), " bytes are too few for a safetensors file");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  if (header_bytes > kHeaderLimit)
    fail(Exit::data, path, ": header of ", header_bytes, " bytes, allowed: at most ", kHeaderLimit);
  if (header_bytes > bytes.size() - kLengthBytes) {
    fail(Exit::data, path, ": header of ", header_bytes, " bytes in a file of ", bytes.size(),
         ": the file is cut short");
  }
  const std::string_view text = bytes.substr(kLengthBytes, header_bytes);
  const std::string_view data = bytes.substr(kLengthBytes + header_bytes);
  if (!text.starts_with('{'))
    fail(Exit::data, path, ": the header does not begin with '{': not a safetensors file");

  TensorFile file;
  std::vector<Entry> entries;
  const nlohmann::json header = parse_json(text, path);
  for (const auto& [name, fields] : header.items()) {
    if (name == kMetadata) {
      file.metadata = read_metadata(fields, path);
    } else {
      entries.push_back(EntryReader(path, name, fields).read());
    }
  }
  check_layout(entries, data.size(), path);
  for (const Entry& entry : entries) file.tensors[entry.name] = copy_tensor(entry, data.data(), path);
  return file;
}

std::string serialize_tensors(const std::map<std::string, at::Tensor>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::vector<std::tuple<size_t, std::string, at::Tensor>> ordered;
  for (const auto& [name, tensor] : tensors) {
    const size_t rank = layout_rank(name, tensor);  // refuses what cannot be held, so it comes first
    ordered.emplace_back(rank, name, tensor.detach().to(at::kCPU).contiguous());
  }
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });

  std::string text =
      "{";  // grown piece by piece: an ordered object looks through all its keys for each new one
  const auto add = [&text](const std::string& key, const nlohmann::ordered_json& value) {
    text += (text.size() > 1 ? "," : "") + nlohmann::ordered_json(key).dump() + ":" + value.dump();
  };
  if (!metadata.empty()) add(kMetadata, metadata);
  uint64_t offset = 0;
  for (const auto& [rank, name, tensor] : ordered) {
    const uint64_t end = offset + tensor.nbytes();
    add(name,
        {{"dtype", kDtypes[rank].name}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}});
    offset = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');

  const uint64_t header_bytes = text.size();
  std::string bytes;
  bytes.reserve(kLengthBytes + header_bytes + offset);
  bytes.append(reinterpret_cast<const char*>(&header_bytes), kLengthBytes).append(text);
  for (const auto& [rank, name, tensor] : ordered) {
    if (tensor.nbytes()) bytes.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  }
  return bytes;
}

void save_tensors(const std::string& path, const std::map<std::string, at::Tensor>& tensors,
                  const std::map<std::string, std::string>& metadata) {
  write_atomically(path, serialize_tensors(tensors, metadata));
}

}  // namespace foil
