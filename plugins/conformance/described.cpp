// SPDX-License-Identifier: BSD-3-Clause
#include "conformance.h"

#include "config/dump.h"

#include <fmt/format.h>

#include <set>

namespace foil::conformance {

void options_are_described(const Subject& subject, Item& item) {
  std::set<std::string> keys;
  for (const Option& option : subject.options) {
    const std::string value = to_toml(option.default_value);
    item.expect(!option.doc.empty(), option.key, "describe() gives no doc");
    item.expect(option.default_allowed, option.key, fmt::format("the default {} is not allowed: {}", value, option.allowed));
    item.expect(keys.insert(option.key).second, option.key, "describe() visits it twice");
    const bool snake = option.key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    item.expect(snake && !option.key.empty(), option.key, "a key is lower case letters, digits and underscores");
  }
  Trial trial(subject.loss, subject.sets.plain);  // the default must do
  item.expect_finite("default", "the value", trial.step(trial.batch(0)).value);
}

void ranges_are_enforced(const Subject& subject, Item& item) {
  const auto refusal = [&](const std::string& key, const Node& value) -> std::string {
    OptionSet set{"", {Node::Table{}, {"conformance"}, {"conformance"}}};
    Node placed = value;
    placed.origin = placed.key_origin = {"conformance"};
    set.table.set(key, placed);
    try {
      make_loss(subject.loss, set);
    } catch (const Error& error) {
      return error.code() == Exit::usage ? error.what() : fmt::format("(exit {}) {}", static_cast<int>(error.code()), error.what());
    }
    return "no error";
  };
  for (const Option& option : subject.options) {
    for (const Node& value : option.refused) {
      const std::string got = refusal(option.key, value), where = option.key + " = " + shown(value);
      item.expect(got.starts_with("conformance: loss." + option.key) && got.find(", allowed: ") != std::string::npos, where,
                  fmt::format("says '{}', expected 'conformance: loss.{} = {}, allowed: {}.'", got, option.key, shown(value),
                              option.allowed));
    }
  }
  const std::string unknown = "no_such_option", got = refusal(unknown, {int64_t{1}, {}, {}});
  item.expect(got.starts_with("conformance: unknown key loss." + unknown), unknown, fmt::format("says '{}'", got));
}

}  // namespace foil::conformance
