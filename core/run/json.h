// SPDX-License-Identifier: BSD-3-Clause
// JSON as the run's files hold it: strict on reading, and able to carry nan and the infinities, which JSON
// itself has no words for. The one place where JSON is parsed: what comes back is shallow enough for
// everything that walks it by recursion.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace foil {

// The value in `text`, in linear time; Exit::data with "PLACE: not JSON: ..." otherwise. An object that has a
// key twice is refused, and so is what is nested deeper than 100.
nlohmann::json parse_json(std::string_view text, const std::string& place);

// The same where text that parse_json refuses counts as absent (a file that another process may be writing):
// null then.
nlohmann::json parse_json_or_null(std::string_view text);

// What nlohmann's reader or an access to a value complains of, without the name of its exception, on one line
// and no longer than can be read.
std::string complaint(const nlohmann::json::exception& error);

// Text that reads back exactly, bit for bit, on one line unless `indent` >= 0; non-finite numbers, at any
// depth, become "nan", "inf" and "-inf", and text that is not UTF-8 becomes printable.
std::string dump_json(const nlohmann::json& value, int indent = -1);

// The number that dump_json wrote: also from "nan", "inf" and "-inf". Exit::data for anything else.
double json_number(const nlohmann::json& value);

}  // namespace foil
