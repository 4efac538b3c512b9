// SPDX-License-Identifier: BSD-3-Clause
// TensorBoard event files, written by hand: TFRecord framing around protocol buffers. Scalars, texts and what
// the HParams tab reads, as torch.utils.tensorboard writes them; a view of metrics.jsonl for people, never
// read by foil except to resume.
#pragma once

#include "run/file.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace foil {

class EventWriter {
 public:
  // Continues the event file in `folder` (which must exist) without its events of later steps than
  // `resume_step` (-1: all) and without a torn end; begins events.out.tfevents.TIME.HOST when there is none.
  EventWriter(const std::string& folder, int64_t resume_step);

  void scalar(const std::string& tag, double value, int64_t step);           // TensorBoard holds it as float
  void text(const std::string& tag, const std::string& text, int64_t step);  // markdown
  // A row of the HParams tab, whose metrics are the scalars of the file: name -> number, flag or text.
  void hyperparameters(const nlohmann::json& values, int64_t step);

 private:
  void write(int64_t step, int field, std::string_view content);

  std::optional<AppendFile> file_;
};

// CRC-32C (Castagnoli), unmasked.
uint32_t crc32c(std::string_view bytes);

}  // namespace foil
