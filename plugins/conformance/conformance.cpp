// SPDX-License-Identifier: BSD-3-Clause
// The items of each kind, and the report on one component. An item that fails for the reason of an earlier
// one says so in a line; where a deciding item fails, those after it are not run.
#include "conformance.h"

#include "config/dump.h"

#include <fmt/format.h>

#include <algorithm>

namespace foil::conformance {
namespace {

std::vector<Check> checks_of(const std::string& kind) {
  std::vector<Check> all = {{"describe", options_are_described}, {"ranges", ranges_are_enforced}};
  const std::pair<const char*, std::vector<Check> (*)()> kinds[] = {{"loss", loss_checks},
                                                                    {"encoder", encoder_checks},
                                                                    {"augmentation", augmentation_checks},
                                                                    {"data set", dataset_checks},
                                                                    {"sampler", sampler_checks}};
  for (const auto& [name, checks] : kinds) {
    if (name != kind) continue;
    for (const Check& check : checks()) all.push_back(check);
    return all;
  }
  fail(Exit::usage, "there are no conformance tests for the kind '", kind, "'.");
}

// The first line of an error: LibTorch appends a backtrace.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Of options that were made smaller: "queue_length = 64 for 65536 where it is not given".
std::vector<std::string> notes_of(const Subject& subject) {
  std::vector<std::string> notes;
  for (const Option& option : subject.options) {
    if (option.is_long)
      notes.push_back(
          fmt::format("{} = {} for {} wherever an option set does not give it, for the sake of time",
                      option.key, kShort, to_toml(option.default_value)));
  }
  for (const std::string& line : subject.sets.refused)
    notes.push_back("refused by the " + subject.component.kind + ": " + line);
  return notes;
}

Item run(const Check& check, const Subject& subject) {
  const std::vector<Conformance::Wider>& all = subject.component.conformance.wider;
  const auto wider =
      std::find_if(all.begin(), all.end(), [&](const auto& w) { return w.item == check.item; });
  Item item(check.item, wider != all.end() ? wider->factor : 1);
  if (wider != all.end())
    item.note(fmt::format("its tolerances are {} times as wide: {}", wider->factor, wider->reason));
  try {
    check.run(subject, item);
  } catch (const std::exception& error) {
    item.fail("it throws", first_line(error.what()));
  }
  return item;
}

}  // namespace

bool Report::passed() const {
  return std::none_of(items.begin(), items.end(), [](const Item& item) { return item.failed(); });
}

bool Report::skipped() const {
  return std::all_of(items.begin(), items.end(), [](const Item& item) { return item.skipped(); });
}

const Item& Report::item(const std::string& name) const {
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const Item& item) { return item.name() == name; });
  if (found == items.end()) fail(Exit::failure, "there is no item '", name, "'.");
  return *found;
}

std::string Report::text(const std::string& title) const {
  std::string text = fmt::format("{}: {} option sets\n", title, option_sets);
  for (const Item& item : items) text += item.text();
  for (const std::string& line : notes) text += "  note  " + line + "\n";
  return text;
}

std::vector<std::string> items_of(const std::string& kind) {
  std::vector<std::string> names;
  for (const Check& check : checks_of(kind)) names.push_back(check.item);
  return names;
}

Report test(const Component& component, const std::string& only, const Node& given) {
  const std::vector<std::string> known = items_of(component.kind);
  if (!only.empty() && std::find(known.begin(), known.end(), only) == known.end())
    fail(Exit::usage, "unknown item '", only, "'.", known_names("items", only, known));
  const Subject subject{component, options_of(component), option_sets(component, given)};
  Report report;
  report.option_sets = subject.sets.single.size() + subject.sets.paired.size();
  report.notes = notes_of(subject);
  std::string decided;
  for (const Check& check : checks_of(component.kind)) {
    if (!only.empty() && only != check.item) continue;
    if (!decided.empty()) {
      Item item(check.item);
      item.skip("not run: mend '" + decided + "' first");
      report.items.push_back(std::move(item));
      continue;
    }
    Item item = run(check, subject);
    for (const Item& earlier : report.items) item.fold_into(earlier);
    if (check.decides && item.failed()) decided = check.item;
    report.items.push_back(std::move(item));
  }
  return report;
}

}  // namespace foil::conformance
