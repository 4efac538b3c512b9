// SPDX-License-Identifier: BSD-3-Clause
#include "data/texts.h"

#include "data/lines.h"

#include <torch/types.h>

#include <cstring>

namespace foil {

Column text_column(const std::vector<std::string>& texts, int64_t length) {
  const auto count = static_cast<int64_t>(texts.size());
  Column column{torch::zeros({count, length}, torch::kByte), torch::empty({count}, torch::kLong)};
  auto* to = column.data.mutable_data_ptr<uint8_t>();
  int64_t* bytes = column.length.mutable_data_ptr<int64_t>();
  for (const std::string& text : texts) {
    std::memcpy(to, text.data(), text.size());
    to += length;
    *bytes++ = static_cast<int64_t>(text.size());
  }
  return column;
}

std::vector<std::string> cut_remark(int64_t texts, const std::string& column, int64_t bytes) {
  if (texts == 0) return {};
  return {"cut " + std::to_string(texts) + (texts == 1 ? " text of " : " texts of ") + in_quotes(column) +
          " to " + std::to_string(bytes) + " bytes"};
}

}  // namespace foil
