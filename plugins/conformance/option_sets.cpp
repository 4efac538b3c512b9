// SPDX-License-Identifier: BSD-3-Clause
// The option sets that a component is tried with: its default, each option at its ends, pairs, and its own
// samples.
#include "option_sets.h"

#include "config/allowed.h"
#include "config/dump.h"
#include "config/parse.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace foil::conformance {
namespace {

constexpr int64_t kLong = 256;
constexpr size_t kMostPairs = 64;

Node node(Node value) {
  value.origin = {"conformance"};
  value.key_origin = value.origin;
  return value;
}

// The ends of a range that is allowed: { low, high }.
std::pair<double, double> ends(const Range& range, double inside, double far_low, double far_high) {
  double low = range.low + (range.low_open ? inside : 0), high = range.high - (range.high_open ? inside : 0);
  if (std::isinf(range.low)) low = far_low;
  if (std::isinf(range.high)) high = std::max(far_high, low);
  return {std::min(low, high), high};
}

// Just outside of a range: nothing below or above where it is open ended.
std::vector<double> outside(const Range& range) {
  std::vector<double> values;
  if (!std::isinf(range.low)) values.push_back(range.low_open ? range.low : range.low - 1);
  if (!std::isinf(range.high)) values.push_back(range.high_open ? range.high : range.high + 1);
  return values;
}

class Lister final : public Fields {
 public:
  std::vector<Option> options;

  void number(const char* key, double& value, const char* doc, Range allowed) override {
    Option& option = add(key, doc, allowed_number(allowed), {value, {}, {}}, allowed.contains(value));
    const auto [low, high] = ends(allowed, std::min(0.001, (allowed.high - allowed.low) / 4), -1000, 1000);
    option.others = {{low, {}, {}}, {high, {}, {}}};
    option.refused = {{std::numeric_limits<double>::quiet_NaN(), {}, {}}, {std::string("much"), {}, {}}};
    for (double x : outside(allowed)) option.refused.push_back({x, {}, {}});
  }
  void integer(const char* key, int64_t& value, const char* doc, Range allowed) override {
    Option& option = add(key, doc, allowed_integer(allowed), {value, {}, {}},
                         allowed.contains(static_cast<double>(value)));
    option.is_long = value > kLong && allowed.contains(static_cast<double>(kShort));
    for (int64_t x : integer_ends(allowed, option.is_long ? kShort : value))
      option.others.push_back({x, {}, {}});
    option.refused = {{1.5, {}, {}}};
    for (double x : outside(allowed)) option.refused.push_back({static_cast<int64_t>(x), {}, {}});
  }
  void flag(const char* key, bool& value, const char* doc) override {
    Option& option = add(key, doc, allowed_flag, {value, {}, {}}, true);
    option.is_switch = true;
    option.others = {{!value, {}, {}}};
    option.refused = {{int64_t{1}, {}, {}}};
  }
  void choice(const char* key, std::string& value, const std::vector<std::string>& allowed,
              const char* doc) override {
    const bool known = std::find(allowed.begin(), allowed.end(), value) != allowed.end();
    Option& option = add(key, doc, allowed_choice(allowed), {value, {}, {}}, known);
    option.is_switch = true;
    for (const std::string& other : allowed) option.others.push_back({other, {}, {}});
    option.refused = {{allowed.at(0) + "x", {}, {}}, {false, {}, {}}};
  }
  void text(const char* key, std::string& value, const char* doc) override {
    add(key, doc, allowed_text, {value, {}, {}}, true).refused = {{int64_t{1}, {}, {}}};
  }
  void path(const char* key, std::string& value, const char* doc) override {
    add(key, doc, allowed_path, {value, {}, {}}, true).refused = {{int64_t{1}, {}, {}}};
  }
  void numbers(const char* key, std::vector<double>& value, const char* doc, Range allowed) override {
    const bool inside =
        std::all_of(value.begin(), value.end(), [&](double x) { return allowed.contains(x); });
    Option& option = add(key, doc, allowed_numbers(allowed), list_node(value), inside);
    const auto [low, high] = ends(allowed, 0.001, -1000, 1000);
    for (double end : {low, high}) option.others.push_back(list_node(std::vector<double>(value.size(), end)));
    for (double x : outside(allowed)) option.refused.push_back(list_node(std::vector<double>{x}));
    option.refused.push_back({1.0, {}, {}});
  }
  void integers(const char* key, std::vector<int64_t>& value, const char* doc, Range allowed) override {
    const auto contains = [&](int64_t x) { return allowed.contains(static_cast<double>(x)); };
    Option& option = add(key, doc, allowed_integers(allowed), list_node(value),
                         std::all_of(value.begin(), value.end(), contains));
    for (int64_t end : integer_ends(allowed, value.empty() ? 1 : value[0]))
      option.others.push_back(list_node(std::vector<int64_t>(value.size(), end)));
    for (double x : outside(allowed))
      option.refused.push_back(list_node(std::vector<int64_t>{static_cast<int64_t>(x)}));
    option.refused.push_back({int64_t{1}, {}, {}});
  }
  void texts(const char* key, std::vector<std::string>& value, const char* doc) override {
    add(key, doc, allowed_texts, list_node(value), true).refused = {{std::string("one"), {}, {}}};
  }

 private:
  Option& add(const char* key, const char* doc, std::string allowed, Node value, bool default_allowed) {
    options.push_back(
        {key, doc ? doc : "", std::move(allowed), std::move(value), default_allowed, false, false, {}, {}});
    return options.back();
  }
  // Of whole numbers, many of which are sizes, an end above kLargest is as good as none.
  static std::vector<int64_t> integer_ends(const Range& allowed, int64_t value) {
    constexpr double kLargest = 1000;
    const auto far = static_cast<double>(std::max<int64_t>(64, 2 * value));
    const auto [low, high] = ends(allowed, 1, static_cast<double>(value), far);
    return {static_cast<int64_t>(low), static_cast<int64_t>(high > kLargest ? std::max(far, low) : high)};
  }
};

using Values = std::vector<std::pair<const Option*, const Node*>>;

OptionSet with(const Values& values, const Node& given) {
  OptionSet set{values.empty() ? "default" : "", given.is_table() ? given : node({Node::Table{}, {}, {}})};
  for (const auto& [option, value] : values) {
    set.text += (set.text.empty() ? "" : ", ") + option->key + " = " + to_toml(*value);
    set.table.set(option->key, node(*value));
  }
  return set;
}

}  // namespace

std::vector<Option> options_of(const Component& component) {
  Lister lister;
  component.describe(lister);
  for (Option& option : lister.options) {
    const std::string same = to_toml(option.default_value);
    std::erase_if(option.others, [&](const Node& other) { return to_toml(other) == same; });
    std::vector<Node> unique;
    for (Node& other : option.others) {
      if (unique.empty() || to_toml(unique.back()) != to_toml(other)) unique.push_back(std::move(other));
    }
    option.others = std::move(unique);
  }
  return lister.options;
}

double magnitude(const OptionSet& set) {
  double most = 1;
  for (const auto& [key, value] : set.table.table()) {
    const double x = value.is_number() ? std::abs(value.number()) : 1;
    if (x > 0) most = std::max({most, x, 1 / x});
  }
  return most;
}

std::string table_name(const Component& component) {
  if (component.kind == "augmentation") return "augment";
  return component.kind == "data set" ? "data" : component.kind;
}

OptionSets option_sets(const Component& component, const Node& given) {
  std::vector<Option> options = options_of(component);
  for (Option& option : options) {
    if (!given.find(option.key)) continue;
    option.others.clear();
    option.is_long = false;
  }
  const Node short_length = {kShort, {}, {}};
  OptionSets sets{with({}, given), {}, {}, {}};
  const auto keep = [&](std::vector<OptionSet>& into, Values values) {
    for (const Option& option : options) {
      const bool varied =
          std::any_of(values.begin(), values.end(), [&](const auto& v) { return v.first == &option; });
      if (option.is_long && !varied) values.push_back({&option, &short_length});
    }
    OptionSet set = with(values, given);
    try {
      make<void>(component, set);
      into.push_back(std::move(set));
    } catch (const Error& error) {
      if (&into == &sets.single) sets.refused.push_back(set.text + ": " + error.what());
    }
  };
  keep(sets.single, {});
  for (const Option& option : options) {
    for (const Node& value : option.others) keep(sets.single, {{&option, &value}});
  }
  for (const std::string& sample : component.conformance.samples) {
    std::string text = sample;
    std::replace(text.begin(), text.end(), '\n', ',');
    OptionSet set{text, parse_toml(sample, "sample of " + component.name)};
    if (given.is_table()) {
      for (const auto& [key, value] : given.table()) set.table.set(key, value);
    }
    for (const Option& option : options) {
      if (option.is_long && !set.table.find(option.key)) set.table.set(option.key, node(short_length));
    }
    sets.single.push_back(std::move(set));
  }
  for (size_t i = 0; i < options.size(); ++i) {
    for (size_t j = 0; j < options.size(); ++j) {
      const bool twice = options[j].is_switch && j < i;
      if (!options[i].is_switch || i == j || twice) continue;
      for (const Node& a : options[i].others) {
        for (const Node& b : options[j].others) keep(sets.paired, {{&options[i], &a}, {&options[j], &b}});
      }
    }
  }
  // Of very many pairs an even choice.
  std::vector<OptionSet> some;
  const size_t stride = sets.paired.size() / kMostPairs + 1;
  for (size_t i = 0; i < sets.paired.size(); i += stride) some.push_back(std::move(sets.paired[i]));
  sets.paired = std::move(some);
  return sets;
}

}  // namespace foil::conformance
