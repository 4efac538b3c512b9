// SPDX-License-Identifier: BSD-3-Clause
// data.json of a run folder: what was read, counted, with what was left out. By it a run knows its data
// again.
#pragma once

#include <foil/dataset.h>

#include <nlohmann/json.hpp>

#include <string>

namespace foil {

// {"name", "identity", "train", "test", "classes", "remarks"} of a whole data set, "validation" where it has
// such a split. Asks for its identity, which may read every file.
nlohmann::json data_record(const std::string& name, const Dataset& whole);

// "data: image_folder, 8 training samples, no test samples, 2 classes; left out 1 hidden file or folder
// (a/.x)".
std::string data_line(const nlohmann::json& record);

// Compares with the data.json that an earlier process left in a run folder: throws Error (Exit::usage) that
// names both when the identities differ. Where there is none, or an identity is not known, nothing is
// compared.
void check_same_data(const std::string& run_folder, const nlohmann::json& record);

// "was crc32:1 (64 training samples, ...), is crc32:2 (...)"; empty when the two are the same, or one is not
// known.
std::string data_difference(const nlohmann::json& was, const nlohmann::json& is);

}  // namespace foil
