// SPDX-License-Identifier: BSD-3-Clause
// The items of a sampler, under each of its option sets and for several sizes of batch and data set.
#include "conformance.h"
#include "trials.h"

#include <foil/sampler.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

namespace foil::conformance {
namespace {

// What a sampler is set up for.
struct Setting {
  std::string text;
  int64_t batch, size;
  bool labels;
  // Four classes, one of which has a single sample; where a sample has none, -1.
  Tensor label() const {
    if (!labels) return {};
    Tensor all = torch::arange(size) % 3;
    all[size / 2] = 3;
    all[size - 1] = -1;
    return all;
  }
};

const std::vector<Setting> kSettings = {{"batches of 8 of 37 samples", 8, 37, true},
                                        {"batches of 8 of 37 samples without labels", 8, 37, false},
                                        {"batches of all 24 samples", 24, 24, true},
                                        {"batches of one of 9 samples", 1, 9, true}};

struct Case {
  OptionSet set;
  Setting setting;
  std::string where() const { return set.text + ", " + setting.text; }
  std::shared_ptr<Sampler> sampler(const Subject& subject, uint64_t seed = 7) const {
    auto one = make<Sampler>(subject.component, set);
    one->setup(seed, setting.batch, setting.size, setting.label());
    return one;
  }
};

std::vector<Case> cases(const Subject& subject, std::vector<std::string>* refused = nullptr) {
  std::vector<Case> found;
  for (const OptionSet& set : subject.sets.single) {
    for (const Setting& setting : kSettings) {
      const Case one{set, setting};
      const auto said = refusal([&] { one.sampler(subject); });
      if (!said)
        found.push_back(one);
      else if (refused)
        refused->push_back(one.where() + ": " + said->text + (said->is_error ? "" : " (not a foil::Error)"));
    }
  }
  return found;
}

// The first two passes, and a step far off.
std::vector<int64_t> steps_of(Sampler& sampler) {
  std::vector<int64_t> steps;
  for (int64_t step = 0; step < std::min<int64_t>(2 * std::max<int64_t>(sampler.steps_per_epoch(), 1), 40);
       ++step)
    steps.push_back(step);
  steps.push_back(1000003);
  return steps;
}

void setup_refuses_by_a_word(const Subject& subject, Item& item) {
  std::vector<std::string> refused;
  const std::vector<Case> found = cases(subject, &refused);
  item.expect(!found.empty(), "every option set", fmt::format("is refused: {}", fmt::join(refused, "; ")));
  for (const std::string& text : refused)
    item.expect(!text.ends_with("(not a foil::Error)"), "setup",
                text + ", expected an Error that says what is allowed");
  for (const OptionSet& set : subject.sets.single) {
    const Case large{set, {"batches of 38 of 37 samples", 38, 37, true}};
    const auto said = refusal([&] { large.sampler(subject)->batch(0); });
    item.expect(!said || said->is_error, large.where(),
                said ? said->text + ", expected an Error that says what is allowed" : "");
  }
}

// No rule, as a sampler may balance classes, and worth knowing: whether a pass has every sample once.
void note_repeats(Item& item, const Case& one, Sampler& sampler) {
  std::vector<Tensor> batches;
  for (int64_t step = 0; step < std::clamp<int64_t>(sampler.steps_per_epoch(), 1, 1000); ++step)
    batches.push_back(sampler.batch(step));
  const Tensor rows = torch::cat(batches);
  const int64_t distinct = std::get<0>(at::_unique(rows)).size(0);
  if (distinct < rows.size(0))
    item.note(fmt::format("{}: the {} rows of a pass are {} samples", one.where(), rows.size(0), distinct));
}

void batches_are_rows(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    const auto sampler = one.sampler(subject);
    const int64_t epoch = sampler->steps_per_epoch();
    item.expect(epoch >= 1, one.where(), fmt::format("steps_per_epoch() is {}, allowed: at least 1", epoch));
    for (const int64_t step : steps_of(*sampler)) {
      const Tensor batch = sampler->batch(step);
      const std::string where = fmt::format("{}, step {}", one.where(), step);
      if (!batch.defined() || batch.scalar_type() != at::kLong ||
          batch.sizes() != at::IntArrayRef({one.setting.batch}) || !batch.device().is_cpu()) {
        item.fail(where, fmt::format("batch() is {} {}, allowed: int64 [{}] on the CPU", batch.toString(),
                                     batch.defined() ? text_of(batch.sizes()) : "", one.setting.batch));
        continue;
      }
      const int64_t low = batch.min().item<int64_t>(), high = batch.max().item<int64_t>();
      item.expect(low >= 0 && high < one.setting.size, where,
                  fmt::format("rows from {} to {}, allowed: 0 to {}", low, high, one.setting.size - 1));
    }
    note_repeats(item, one, *sampler);
    item.expect(sampler->steps_per_epoch() == epoch, one.where(),
                "steps_per_epoch() changes while batches are asked for");
  }
}

void batches_are_a_function_of_the_step(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    const auto straight = one.sampler(subject), reverse = one.sampler(subject);
    const GlobalDraws draws;
    std::vector<int64_t> steps = steps_of(*straight);
    std::vector<Tensor> want;
    for (const int64_t step : steps) {
      const Tensor batch = straight->batch(step);
      want.push_back(batch.clone());
      batch.fill_(0);  // what was given is the caller's
      item.expect_equal_bits(fmt::format("{}, step {} after writing into its batch", one.where(), step),
                             "the batch", straight->batch(step), want.back());
    }
    item.expect(!draws.any(), one.where(),
                "it draws from LibTorch's global generator; draw from foil::Draws, keyed by seed and step");
    for (size_t i = steps.size(); i-- > 0;)
      item.expect_equal_bits(fmt::format("{}, steps asked in reverse, step {}", one.where(), steps[i]),
                             "the batch", reverse->batch(steps[i]), want[i]);
    for (size_t i = 0; i < steps.size(); ++i)
      item.expect_equal_bits(fmt::format("{}, step {} asked again", one.where(), steps[i]), "the batch",
                             straight->batch(steps[i]), want[i]);
    const size_t middle = steps.size() / 2;
    item.expect_equal_bits(
        fmt::format("{}, step {} asked first, as after a resume", one.where(), steps[middle]), "the batch",
        one.sampler(subject)->batch(steps[middle]), want[middle]);
  }
}

void labels_are_left_alone(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    const Tensor label = one.setting.label();
    if (!label.defined()) continue;
    const Tensor before = label.clone();
    auto sampler = make<Sampler>(subject.component, one.set);
    sampler->setup(7, one.setting.batch, one.setting.size, label);
    sampler->batch(0);
    item.expect_equal_bits(one.where(), "the labels afterwards", label, before);
  }
}

}  // namespace

std::vector<Check> sampler_checks() {
  return {{"setup", setup_refuses_by_a_word, /*decides=*/true},
          {"batches", batches_are_rows, /*decides=*/true},
          {"steps", batches_are_a_function_of_the_step},
          {"labels", labels_are_left_alone}};
}

}  // namespace foil::conformance
