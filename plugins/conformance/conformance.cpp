// SPDX-License-Identifier: BSD-3-Clause
#include "conformance.h"

#include <fmt/format.h>

#include <algorithm>

namespace foil::conformance {
namespace {

using Check = void (*)(const Subject&, Item&);
constexpr std::pair<const char*, Check> kItems[] = {
    {"describe", options_are_described},
    {"ranges", ranges_are_enforced},
    {"needs", needs_are_honest},
    {"labels", labels_of_none_are_kept},
    {"gradient", gradient_is_the_derivative},
    {"ranks", ranks_equal_one},
    {"permutation", order_of_samples_is_nothing},
    {"extremes", extremes_stay_finite},
    {"precision", precision_is_that_of_the_inputs},
    {"cuda", cuda_equals_cpu},
    {"resume", resume_is_exact},
    {"registered", state_is_registered},
    {"evaluation", evaluation_changes_nothing},
    {"micro_batches", micro_batches_equal_the_whole},
    {"draws", draws_are_keyed},
};

// The first line of an error: LibTorch appends a backtrace.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

bool Report::passed() const {
  return std::none_of(items.begin(), items.end(), [](const Item& item) { return item.failed(); });
}

bool Report::skipped() const {
  return std::all_of(items.begin(), items.end(), [](const Item& item) { return item.skipped(); });
}

const Item& Report::item(const std::string& name) const {
  const auto found = std::find_if(items.begin(), items.end(), [&](const Item& item) { return item.name() == name; });
  if (found == items.end()) fail(Exit::failure, "there is no item '", name, "'.");
  return *found;
}

std::string Report::text(const std::string& title) const {
  std::string text = fmt::format("{}: {} option sets\n", title, option_sets);
  for (const Item& item : items) text += item.text();
  for (const std::string& line : refused) text += "  note  refused by the loss: " + line + "\n";
  return text;
}

Report test(const Component& loss, const std::string& only) {
  std::vector<std::string> known;
  for (const auto& [name, check] : kItems) known.push_back(name);
  if (!only.empty() && std::find(known.begin(), known.end(), only) == known.end())
    fail(Exit::usage, "unknown item '", only, "'.", known_names("items", only, known));
  const Subject subject{loss, options_of(loss), option_sets(loss)};
  Report report;
  report.option_sets = subject.sets.single.size() + subject.sets.paired.size();
  report.refused = subject.sets.refused;
  for (const auto& [name, check] : kItems) {
    if (!only.empty() && only != name) continue;
    const auto wider = std::find_if(loss.conformance.wider.begin(), loss.conformance.wider.end(),
                                    [name = name](const auto& w) { return w.item == name; });
    const bool widened = wider != loss.conformance.wider.end();
    Item item(name, widened ? wider->factor : 1);
    if (widened) item.note(fmt::format("its tolerances are {} times as wide: {}", wider->factor, wider->reason));
    try {
      check(subject, item);
    } catch (const std::exception& error) {
      item.fail("it throws", first_line(error.what()));
    }
    report.items.push_back(std::move(item));
  }
  return report;
}

}  // namespace foil::conformance
