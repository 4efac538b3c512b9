// SPDX-License-Identifier: BSD-3-Clause
// The safetensors format: an 8-byte header length, a JSON header, then the bytes of the tensors without a
// gap. Reads what the Python package writes and writes the same bytes that it would; refuses everything that
// the format forbids. https://huggingface.co/docs/safetensors
#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <string_view>

namespace foil {

struct TensorFile {
  std::map<std::string, at::Tensor> tensors;  // on the CPU, contiguous, owning their memory
  std::map<std::string, std::string> metadata;
};

// Reads a file; Exit::data with "PATH: ..." when it is missing or breaks a rule of the format.
TensorFile load_tensors(const std::string& path);

// The same for the bytes of a file that was read already; `path` is for messages.
TensorFile parse_tensors(std::string_view bytes, const std::string& path);

// The bytes of the file. Tensors may be on any device and need not be contiguous. The same input always gives
// the same bytes: largest elements first, then by name, the header padded with blanks to a multiple of 8.
std::string serialize_tensors(const std::map<std::string, at::Tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {});

// Writes them atomically.
void save_tensors(const std::string& path, const std::map<std::string, at::Tensor>& tensors,
                  const std::map<std::string, std::string>& metadata = {});

}  // namespace foil
