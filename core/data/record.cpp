// SPDX-License-Identifier: BSD-3-Clause
// What was read, as JSON, as a line, and against what an earlier process read.
#include "data/record.h"

#include "data/remarks.h"
#include "run/file.h"
#include "run/json.h"

#include <foil/error.h>

#include <filesystem>

namespace foil {
namespace {

std::string counted(int64_t count, const std::string& one, const std::string& many) {
  return (count == 0 ? "no" : std::to_string(count)) + " " + (count == 1 ? one : many);
}

// The counts of a record, of which a file may have any: what is no number counts as 0.
std::string counts(const nlohmann::json& record) {
  const auto number = [&](const char* key) {
    return record.contains(key) && record[key].is_number_integer() ? record[key].get<int64_t>() : 0;
  };
  const int64_t classes = record.contains("classes") ? std::ssize(record["classes"]) : 0;
  const int64_t validation = number("validation");
  return counted(number("train"), "training sample", "training samples") + ", " +
         (validation > 0 ? counted(validation, "validation sample", "validation samples") + ", " : "") +
         counted(number("test"), "test sample", "test samples") + ", " + counted(classes, "class", "classes");
}

std::string identity_of(const nlohmann::json& record) {
  return record.contains("identity") && record["identity"].is_string() ? record["identity"].get<std::string>()
                                                                       : "";
}

}  // namespace

nlohmann::json data_record(const std::string& name, const Dataset& whole) {
  nlohmann::json remarks = nlohmann::json::array();
  if (const auto* reader = dynamic_cast<const Remarks*>(&whole)) remarks = reader->remarks();
  nlohmann::json record = {{"name", name},
                           {"identity", whole.identity()},
                           {"train", whole.size(Split::train)},
                           {"test", whole.size(Split::test)},
                           {"classes", whole.classes()},
                           {"remarks", remarks}};
  if (const int64_t validation = whole.size(Split::validation); validation > 0)
    record["validation"] = validation;
  return record;
}

std::string data_line(const nlohmann::json& record) {
  std::string line = "data: " + record["name"].get<std::string>() + ", " + counts(record);
  for (const nlohmann::json& remark : record["remarks"]) line += "; " + remark.get<std::string>();
  return line;
}

std::string data_difference(const nlohmann::json& was, const nlohmann::json& is) {
  const std::string before = identity_of(was), now = identity_of(is);
  if (before.empty() || now.empty() || before == now) return "";
  return "was " + before + " (" + counts(was) + "), is " + now + " (" + counts(is) + ")";
}

void check_same_data(const std::string& run_folder, const nlohmann::json& record) {
  const std::string path = run_folder + "/data.json";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return;
  const std::string difference = data_difference(parse_json(read_record(path), path), record);
  if (difference.empty()) return;
  fail(Exit::usage, run_folder, ": the data differs: ", difference,
       ". Put the old data back, choose another run.name, or --restart to keep the old folder aside and "
       "begin anew.");
}

}  // namespace foil
