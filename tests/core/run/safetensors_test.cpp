// SPDX-License-Identifier: BSD-3-Clause
// safetensors against the Python package, both ways, and against files that break each rule of the format.
#include "run/safetensors.h"

#include "run_test.h"

#include <torch/types.h>

#include <random>

namespace foil {
namespace {

// One tensor of every dtype, odd shapes: a scalar, an empty one, one that is not contiguous.
std::map<std::string, at::Tensor> every_dtype() {
  const at::Tensor ramp = at::arange(-7, 8, at::kLong);
  return {{"f64", ramp.to(at::kDouble).div(7).reshape({3, 5})},
          {"f32", ramp.to(at::kFloat).div(7).reshape({3, 5}).t()},
          {"f16", ramp.to(at::kHalf)},
          {"bf16", ramp.to(at::kBFloat16).reshape({5, 1, 3})},
          {"i64", at::scalar_tensor(int64_t{-9007199254740993}, at::kLong)},
          {"i32", ramp.to(at::kInt)},
          {"i16", ramp.to(at::kShort)},
          {"i8", ramp.to(at::kChar)},
          {"u8", ramp.abs().to(at::kByte)},
          {"bool", ramp.gt(2)},
          {"empty", at::empty({0, 4}, at::kFloat)},
          {"na\"me.\xc3\xa9", at::full({1}, 2.5, at::kFloat)}};
}

void expect_same(const std::map<std::string, at::Tensor>& got,
                 const std::map<std::string, at::Tensor>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (const auto& [name, tensor] : wanted) {
    ASSERT_TRUE(got.contains(name)) << name;
    EXPECT_EQ(got.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(got.at(name), tensor)) << name;
  }
}

TEST(Safetensors, ReadsBackEveryDtype) {
  const TempFolder scratch;
  save_tensors(scratch / "a.safetensors", every_dtype(), {{"loss", "x"}, {"params", "{\"a\": 1}"}});
  const TensorFile file = load_tensors(scratch / "a.safetensors");
  expect_same(file.tensors, every_dtype());
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"loss", "x"}, {"params", "{\"a\": 1}"}}));
}

TEST(Safetensors, ReadsWhatPythonWritesAndWritesTheSameBytes) {
  const TempFolder scratch;
  save_tensors(scratch / "ours.safetensors", every_dtype(), {{"kind", "t\xc3\xa9st\n"}});
  run_python(scratch, R"(
import sys
import torch
from safetensors import safe_open
from safetensors.torch import save_file
ramp = torch.arange(-7, 8)
expected = {
    "f64": (ramp.double() / 7).reshape(3, 5), "f32": (ramp.float() / 7).reshape(3, 5).t().contiguous(), "f16": ramp.half(),
    "bf16": ramp.bfloat16().reshape(5, 1, 3), "i64": torch.tensor(-9007199254740993), "i32": ramp.int(), "i16": ramp.short(),
    "i8": ramp.char(), "u8": ramp.abs().byte(), "bool": ramp > 2, "empty": torch.empty(0, 4), 'na"me.é': torch.full((1,), 2.5)}
with safe_open(sys.argv[1], "pt") as file:
    assert file.metadata() == {"kind": "tést\n"}, file.metadata()
    assert set(file.keys()) == set(expected)
    for name, tensor in expected.items():
        got = file.get_tensor(name)
        assert got.dtype == tensor.dtype and got.shape == tensor.shape and torch.equal(got, tensor), name
save_file(expected, sys.argv[2], metadata={"kind": "tést\n"})
)",
             scratch / "ours.safetensors " + (scratch / "theirs.safetensors"));
  expect_same(load_tensors(scratch / "theirs.safetensors").tensors, every_dtype());
  EXPECT_EQ(read_file(scratch / "ours.safetensors"), read_file(scratch / "theirs.safetensors"));
}

TEST(Safetensors, HoldsAFileWithoutTensors) {
  const std::string bytes = serialize_tensors({});
  EXPECT_EQ(bytes, std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
  EXPECT_TRUE(parse_tensors(bytes, "x").tensors.empty());
}

TEST(Safetensors, RefusesToWriteWhatTheFormatCannotHold) {
  EXPECT_EQ(error_of([] {
              serialize_tensors({{"__metadata__", at::zeros({1})}});
            }),
            "1 a tensor cannot be named '__metadata__' in safetensors");
  EXPECT_EQ(error_of([] {
              serialize_tensors({{"a", at::Tensor()}});
            }),
            "1 tensor 'a' is undefined or sparse: safetensors cannot hold it");
  EXPECT_EQ(error_of([] {
              serialize_tensors({{"a", at::zeros({1}, at::kComplexFloat)}});
            }),
            "1 tensor 'a' is ComplexFloat: safetensors has no such dtype here");
}

// A file of this header (unpadded) and this many bytes of data.
std::string file_of(const std::string& header, size_t data_bytes, std::optional<uint64_t> said = {}) {
  const uint64_t length = said.value_or(header.size());
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data_bytes, '\2');
}

std::string refusal(const std::string& bytes) {
  return error_of([&] { parse_tensors(bytes, "x.safetensors"); });
}

TEST(Safetensors, RefusesEveryBrokenRuleByName) {
  const auto one = [](const std::string& fields, size_t data_bytes) {
    return file_of("{\"a\":" + fields + "}", data_bytes);
  };
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", "0 bytes are too few for a safetensors file"},
      {"1234567", "7 bytes are too few for a safetensors file"},
      {file_of("{}", 0, 100'000'001), "header of 100000001 bytes, allowed: at most 100000000"},
      {file_of("{}", 0, UINT64_MAX), "header of 18446744073709551615 bytes, allowed: at most 100000000"},
      {file_of("{}", 0, 3), "header of 3 bytes in a file of 10: the file is cut short"},
      {file_of("", 0), "the header does not begin with '{': not a safetensors file"},
      {file_of(" {}", 0), "the header does not begin with '{': not a safetensors file"},
      {file_of("{\"a\":1}", 0), "tensor 'a' is described by 1, allowed: an object"},
      {file_of("{\"__metadata__\":{\"k\":1}}", 0), "__metadata__.k is 1, allowed: a text"},
      {file_of("{\"__metadata__\":[]}", 0), "__metadata__ is [], allowed: an object of texts"},
      {one(R"({"shape":[1],"data_offsets":[0,4]})", 4), "tensor 'a' has no dtype"},
      {one(R"({"dtype":"F32","data_offsets":[0,4]})", 4), "tensor 'a' has no shape"},
      {one(R"({"dtype":"F32","shape":[1]})", 4), "tensor 'a' has no data_offsets"},
      {one(R"({"dtype":"F23","shape":[1],"data_offsets":[0,4]})", 4),
       "tensor 'a' has dtype \"F23\". Known dtypes: I64, F64, F32, I32, BF16, F16, I16, I8, U8, BOOL. "
       "Did you mean 'F32'?"},
      {one(R"({"dtype":7,"shape":[1],"data_offsets":[0,4]})", 4),
       "tensor 'a' has dtype 7. Known dtypes: I64, F64, F32, I32, BF16, F16, I16, I8, U8, BOOL."},
      {one(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})", 4),
       "tensor 'a' has shape 1, allowed: a list of integers"},
      {one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", 4),
       "tensor 'a' has -1 in shape, allowed: integers >= 0"},
      {one(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})", 4),
       "tensor 'a' has 1.5 in shape, allowed: integers >= 0"},
      {one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0),
       "tensor 'a' has shape [4294967296,4294967296], more elements than 64 bits count"},
      {one(R"({"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]})", 0),
       "tensor 'a' has shape [0,4294967296,4294967296], more elements than 64 bits count"},
      {one(R"({"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,4]})", 4),
       "tensor 'a' has shape [18446744073709551615], more elements than 64 bits count"},
      {one(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", 4),
       "tensor 'a' has data_offsets [0], allowed: [begin, end]"},
      {one(R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})", 4),
       "tensor 'a' has -4 in data_offsets, allowed: integers >= 0"},
      {one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", 4),
       "tensor 'a' ends at byte 0, before it begins at 4"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4),
       "tensor 'a' has 4 bytes, its shape and dtype need 8"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 7),
       "tensor 'a' ends at byte 8 of 7 bytes of data: the file is cut short"},
      {one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 11),
       "3 trailing bytes after the last tensor"},
      {one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})", 8), "hole of 4 bytes before tensor 'a'"},
      {one(R"({"dtype":"BOOL","shape":[2],"data_offsets":[0,2]})", 2),
       "tensor 'a' has a BOOL that is neither 0 nor 1"},
      {file_of(
           R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})",
           5),
       "tensor 'a' overlaps 'b'"},
      {file_of(
           R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})",
           3),
       "tensor 'a' overlaps 'b'"},
      {file_of(
           R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
           6),
       "hole of 1 bytes before tensor 'b'"},
      {file_of(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
           2),
       "duplicate key \"a\""},
  };
  for (const auto& [bytes, message] : table) EXPECT_EQ(refusal(bytes), "5 x.safetensors: " + message);
  EXPECT_TRUE(refusal(file_of("{\"a\"}", 0)).starts_with("5 x.safetensors: not JSON: "));
  EXPECT_TRUE(refusal(file_of("{}{}", 0)).starts_with("5 x.safetensors: not JSON: "));
  EXPECT_TRUE(refusal(file_of("{\"\xff\":1}", 0)).starts_with("5 x.safetensors: not JSON: "));
}

TEST(Safetensors, NamesAMissingFile) {
  EXPECT_EQ(error_of([] { load_tensors("/nowhere/x.safetensors"); }),
            "5 /nowhere/x.safetensors: cannot read: No such file or directory");
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string bytes = serialize_tensors(every_dtype(), {{"kind", "test"}});
  for (size_t size = 0; size < bytes.size(); ++size)
    ASSERT_NE(refusal(bytes.substr(0, size)), "no error") << size;
}

TEST(Safetensors, AChangedByteIsRefusedOrHarmlessButNeverACrash) {
  const std::string bytes = serialize_tensors(every_dtype(), {{"kind", "test"}});
  std::mt19937 random(3);
  int refused = 0;
  for (int trial = 0; trial < 5000; ++trial) {
    std::string damaged = bytes;
    for (int change = 0; change <= trial % 3; ++change)
      damaged[random() % (bytes.size() - 200)] = static_cast<char>(random());
    refused += refusal(damaged) != "no error";
  }
  EXPECT_GT(refused, 3000);
}

// Where time grew with the square of their number, this took minutes.
TEST(Safetensors, AHundredThousandTensorsAreWrittenAndReadInLinearTime) {
  std::map<std::string, at::Tensor> many;
  for (int i = 0; i < 100'000; ++i) many["tensor." + std::to_string(i)] = at::full({1}, i, at::kFloat);
  const TensorFile file = parse_tensors(serialize_tensors(many), "many");
  EXPECT_EQ(file.tensors.size(), many.size());
  EXPECT_EQ(file.tensors.at("tensor.99999").item<float>(), 99'999);
}

}  // namespace
}  // namespace foil
