// SPDX-License-Identifier: BSD-3-Clause
// JSON as the run's files hold it: strict on reading, and able to carry nan and the infinities, which JSON itself has no words for.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace foil {

// The value in `text`; Exit::data with "PLACE: not JSON: ..." otherwise. An object that has a key twice is refused.
nlohmann::json parse_json(std::string_view text, const std::string& place);

// One line of text that reads back exactly, bit for bit; non-finite numbers, at any depth, become "nan", "inf" and "-inf".
std::string dump_json(const nlohmann::json& value);

// The number that dump_json wrote: also from "nan", "inf" and "-inf". Exit::data for anything else.
double json_number(const nlohmann::json& value);

}  // namespace foil
