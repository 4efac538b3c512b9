// SPDX-License-Identifier: BSD-3-Clause
// Field numbers are those of tensorflow/core/util/event.proto, framework/summary.proto and
// framework/tensor.proto, and of tensorboard/plugins/hparams/plugin_data.proto and api.proto.
#include "run/tensorboard.h"

#include <foil/error.h>

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>

namespace foil {
namespace {

// Protocol buffers: what of the wire format these events need.

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

template <class Number>
std::string raw(Number value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string integer_field(int number, uint64_t value) {
  return varint(static_cast<uint64_t>(number) << 3) + varint(value);
}
std::string double_field(int number, double value) {
  return varint(static_cast<uint64_t>(number) << 3 | 1) + raw(value);
}
std::string float_field(int number, float value) {
  return varint(static_cast<uint64_t>(number) << 3 | 5) + raw(value);
}
std::string bytes_field(int number, std::string_view value) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(value.size()) + std::string(value);
}

// Event: wall_time = 1, step = 2, file_version = 3, summary = 5.
std::string event(int64_t step, int field, std::string_view content) {
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return double_field(1, now) + integer_field(2, static_cast<uint64_t>(step)) + bytes_field(field, content);
}
constexpr int kFileVersion = 3;
constexpr int kSummary = 5;

// The step of an event of ours: behind the tag and the eight bytes of wall_time.
int64_t step_of(std::string_view event) {
  const size_t at = 1 + sizeof(double) + 1;
  uint64_t step = 0;
  for (size_t i = 0; at + i < event.size() && i < 10; ++i) {
    const auto byte = static_cast<unsigned char>(event[at + i]);
    step |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) break;
  }
  return static_cast<int64_t>(step);
}

// TFRecord: length, masked CRC of the length, data, masked CRC of the data.

constexpr auto kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82F63B78u : 0);
  }
  return table;
}();

std::string masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return raw((crc >> 15 | crc << 17) + 0xA282EAD8u);
}

constexpr size_t kHead = sizeof(uint64_t) + sizeof(uint32_t), kTail = sizeof(uint32_t);

std::string record(std::string_view data) {
  const std::string length = raw(static_cast<uint64_t>(data.size()));
  return length + masked_crc(length) + std::string(data) + masked_crc(data);
}

// The bytes of the first record, empty at the end of the file or where it is torn or damaged.
std::string_view first_record(std::string_view bytes) {
  uint64_t length = 0;
  if (bytes.size() < kHead + kTail) return {};
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - kHead - kTail ||
      masked_crc(bytes.substr(0, sizeof length)) != bytes.substr(sizeof length, kHead - sizeof length)) {
    return {};
  }
  if (masked_crc(bytes.substr(kHead, length)) != bytes.substr(kHead + length, kTail)) return {};
  return bytes.substr(0, kHead + length + kTail);
}

// The records of steps up to `last`, the file's version record among them (its step is 0).
std::string records_up_to(int64_t last, std::string_view bytes) {
  std::string kept;
  bool version = true;
  for (std::string_view next; !(next = first_record(bytes)).empty(); bytes.remove_prefix(next.size())) {
    if (version || step_of(next.substr(kHead)) <= last) kept += next;
    version = false;
  }
  return kept;
}

// The file.

std::string event_file_in(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("events.out.tfevents.") && !is_temporary(name)) return entry.path();
  }
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  return folder + "/events.out.tfevents." + std::to_string(std::time(nullptr)) + "." + host;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~crc;
}

EventWriter::EventWriter(const std::string& folder, int64_t resume_step) {
  const std::string path = event_file_in(folder);
  std::string kept;
  if (std::filesystem::exists(path)) {
    const std::string bytes = read_file(path);
    kept = records_up_to(resume_step, bytes);
    if (kept != bytes) write_atomically(path, kept);
  }
  file_.emplace(path);
  if (kept.empty()) write(0, kFileVersion, "brain.Event:2");
}

void EventWriter::scalar(const std::string& tag, double value, int64_t step) {
  // Summary.value = 1: tag = 1, simple_value = 2.
  write(step, kSummary, bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value))));
}

void EventWriter::text(const std::string& tag, const std::string& text, int64_t step) {
  constexpr uint64_t kString = 7;  // DataType DT_STRING
  const std::string shape =
      bytes_field(2, integer_field(1, 1));  // TensorShapeProto of one dimension of size 1
  const std::string tensor = integer_field(1, kString) + bytes_field(2, shape) + bytes_field(8, text);
  const std::string metadata =
      bytes_field(1, bytes_field(1, "text"));  // SummaryMetadata.plugin_data.plugin_name
  write(step, kSummary,
        bytes_field(
            1, bytes_field(1, tag + "/text_summary") + bytes_field(8, tensor) + bytes_field(9, metadata)));
}

void EventWriter::hyperparameters(const nlohmann::json& values, int64_t step) {
  const double now = static_cast<double>(std::time(nullptr));
  std::string begun = double_field(5, now);  // SessionStartInfo: hparams = 1, start_time_secs = 5
  for (const auto& [name, value] : values.items()) {
    // google.protobuf.Value: number_value = 2, string_value = 3, bool_value = 4.
    const std::string as_value = value.is_boolean()  ? integer_field(4, value.get<bool>())
                                 : value.is_number() ? double_field(2, value.get<double>())
                                                     : bytes_field(3, value.get<std::string>());
    begun += bytes_field(1, bytes_field(1, name) + bytes_field(2, as_value));
  }
  constexpr uint64_t kSuccess = 1;
  const std::string ended = integer_field(1, kSuccess) + double_field(2, now);  // SessionEndInfo
  // HParamsPluginData: version = 1, session_start_info = 3, session_end_info = 4.
  const auto note = [&](const char* tag, int field, const std::string& content) {
    const std::string data = integer_field(1, 0) + bytes_field(field, content);
    const std::string plugin = bytes_field(1, "hparams") + bytes_field(2, data);
    write(step, kSummary, bytes_field(1, bytes_field(1, tag) + bytes_field(9, bytes_field(1, plugin))));
  };
  note("_hparams_/session_start_info", 3, begun);
  note("_hparams_/session_end_info", 4, ended);
}

void EventWriter::write(int64_t step, int field, std::string_view content) {
  file_->append(record(event(step, field, content)));
}

}  // namespace foil
