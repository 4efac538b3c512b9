// SPDX-License-Identifier: BSD-3-Clause
// What describe() says of a component: every option with a default in its range, a text and a name of its
// own.
#include "config/dump.h"
#include "conformance.h"

#include <fmt/format.h>

#include <set>

namespace foil::conformance {

void options_are_described(const Subject& subject, Item& item) {
  std::set<std::string> keys;
  for (const Option& option : subject.options) {
    const std::string value = to_toml(option.default_value);
    item.expect(!option.doc.empty(), option.key, "describe() gives no doc");
    item.expect(option.default_allowed, option.key,
                fmt::format("the default {} is not allowed: {}", value, option.allowed));
    item.expect(keys.insert(option.key).second, option.key, "describe() visits it twice");
    const bool snake =
        option.key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    item.expect(snake && !option.key.empty(), option.key,
                "a key is lower case letters, digits and underscores");
  }
  try {  // the default must do
    make<void>(subject.component, subject.sets.plain);
    item.expect(true, "default", "");
  } catch (const Error& error) {
    item.fail("default",
              fmt::format("it cannot be made: {}{}", error.what(),
                          error.code() == Exit::data ? " (--set path=DIR says where its files are)" : ""));
  }
}

void ranges_are_enforced(const Subject& subject, Item& item) {
  const std::string table = table_name(subject.component) + ".";
  const auto refusal = [&](const std::string& key, const Node& value) -> std::string {
    OptionSet set{"", {Node::Table{}, {"conformance"}, {"conformance"}}};
    Node placed = value;
    placed.origin = placed.key_origin = {"conformance"};
    if (placed.is_array()) {
      for (Node& element : placed.array()) element.origin = {"conformance"};
    }
    set.table.set(key, placed);
    try {
      make<void>(subject.component, set);
    } catch (const Error& error) {
      return error.code() == Exit::usage
                 ? error.what()
                 : fmt::format("(exit {}) {}", static_cast<int>(error.code()), error.what());
    }
    return "no error";
  };
  for (const Option& option : subject.options) {
    for (const Node& value : option.refused) {
      const std::string got = refusal(option.key, value), where = option.key + " = " + shown(value);
      item.expect(got.starts_with("conformance: " + table + option.key) &&
                      got.find(", allowed: ") != std::string::npos,
                  where,
                  fmt::format("says '{}', expected 'conformance: {}{} = {}, allowed: {}.'", got, table,
                              option.key, shown(value), option.allowed));
    }
  }
  const std::string unknown = "no_such_option", got = refusal(unknown, {int64_t{1}, {}, {}});
  item.expect(got.starts_with("conformance: unknown key " + table + unknown), unknown,
              fmt::format("says '{}'", got));
}

}  // namespace foil::conformance
