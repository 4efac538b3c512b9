// SPDX-License-Identifier: BSD-3-Clause
// What several steps of a loss must hold: on ranks, after a resume, set back to their start, in evaluation.
#include "checked_ranks.h"
#include "losses.h"
#include "outcomes.h"
#include "ranks/world.h"
#include "run/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/utils.h>

#include <atomic>

namespace foil::conformance {
namespace {

constexpr int64_t kSteps = 3;

// How many of the seven samples each rank has at each step.
using Shards = std::vector<std::vector<int64_t>>;
const std::vector<Shards> kShards = {{{4, 3}, {0, 7}, {6, 1}}, {{3, 2, 2}, {5, 0, 2}, {0, 1, 6}}};

// The third batch has a sample twice, as a sampler may draw it; not of a graph, of which it is all nodes.
Batch batch_of(const Trial& trial, int64_t step) {
  Batch batch = trial.batch(step);
  if (step == 2 && !trial.needs().graph) {
    batch.index = torch::cat({batch.index.slice(0, 0, kBatch - 1), batch.index.slice(0, 1, 2)});
    if (batch.label.defined())
      batch.label = torch::cat({batch.label.slice(0, 0, kBatch - 1), batch.label.slice(0, 1, 2)});
  }
  return batch;
}

Share share_of(size_t rank, const std::vector<int64_t>& counts) {
  Share share{0, counts[rank]};
  for (size_t r = 0; r < rank; ++r) share.begin += counts[r];
  return share;
}

// What the ranks gave, as one rank would: values and reports averaged, the gradients of inputs stacked and
// averaged over ranks; where each rank has the whole, they are averages already.
Outcome merged(const std::vector<Outcome>& ranks, bool whole) {
  const double count = static_cast<double>(ranks.size());
  Outcome all = ranks[0];
  all.value = torch::zeros_like(all.value);
  for (auto& [name, report] : all.reports) report = torch::zeros_like(report);
  for (const Outcome& one : ranks) {
    all.value += one.value / count;
    for (auto& [name, report] : all.reports) report += one.reports.at(name) / count;
  }
  for (auto& [name, gradient] : all.gradients) {
    if (whole || !is_of_samples(name)) continue;
    std::vector<Tensor> parts;
    for (const Outcome& one : ranks) parts.push_back(one.gradients.at(name) / count);
    gradient = torch::cat(parts);
  }
  return all;
}

}  // namespace

void ranks_equal_one(const Subject& subject, Item& item) {
  const std::vector<OptionSet>& sets = subject.sets.single;
  for (const Shards& shards : kShards) {
    const size_t size = shards[0].size();
    std::vector<std::vector<Trial>> trials(sets.size());                   // [set][rank]
    std::vector<std::vector<std::vector<Outcome>>> outcomes(sets.size());  // [set][step][rank]
    for (size_t s = 0; s < sets.size(); ++s) {
      for (size_t r = 0; r < size; ++r) trials[s].emplace_back(subject.component, sets[s]);
      outcomes[s].assign(kSteps, std::vector<Outcome>(size));
    }
    const auto where = [&](size_t s) { return fmt::format("{}, {} ranks", sets[s].text, size); };
    std::atomic<size_t> reached = 0;
    std::vector<bool> failed(sets.size());
    for (size_t first = 0; first < sets.size(); first = reached + 1) {
      const std::string error = checked_ranks(
          static_cast<int>(size), [&](const std::shared_ptr<Ranks>& ranks, const auto& step_ends) {
            const size_t rank = static_cast<size_t>(ranks->rank());
            for (size_t s = first; s < sets.size(); ++s) {
              reached = s;
              for (size_t step = 0; step < kSteps; ++step) {
                Trial& trial = trials[s][rank];
                const Batch all = batch_of(trial, static_cast<int64_t>(step));
                const Share mine = share_of(rank, shards[step]);
                outcomes[s][step][rank] = trial.on_every_rank()
                                              ? trial.step(all, ranks, mine)
                                              : trial.step(rows(all, mine.begin, mine.count), ranks);
                step_ends();
              }
            }
          });
      if (error.empty()) break;
      item.fail(where(reached), error);
      failed[reached] = true;
    }
    for (size_t s = 0; s < sets.size(); ++s) {
      if (failed[s]) continue;
      Trial one(subject.component, sets[s]);
      for (size_t step = 0; step < kSteps; ++step) {
        const std::string at =
            fmt::format("{} with {} samples, step {}", where(s), fmt::join(shards[step], ", "), step);
        expect_close(item, at, merged(outcomes[s][step], one.on_every_rank()),
                     one.step(batch_of(one, static_cast<int64_t>(step))), 1e-9);
      }
      const Tensors first = trials[s][0].state();
      expect_close(item, where(s) + ", the state after three steps", first, one.state(), 1e-9);
      for (size_t r = 1; r < size; ++r) {
        expect_equal_bits(item, fmt::format("{}, the state of rank {} against rank 0", where(s), r),
                          trials[s][r].state(), first);
      }
    }
  }
}

// Saved as a checkpoint is, loaded into a loss built anew, and continued.
void resume_is_exact(const Subject& subject, Item& item) {
  for (const OptionSet& set : subject.sets.single) {
    Trial straight(subject.component, set), resumed(subject.component, set);
    for (int64_t step = 0; step < 2; ++step) straight.step(straight.batch(step));
    resumed.load(parse_tensors(serialize_tensors(straight.state()), "checkpoint").tensors);
    for (int64_t step = 2; step < 4; ++step) {
      const Outcome want = straight.step(straight.batch(step));
      expect_equal_bits(item, fmt::format("{}, resumed at step 2, step {}", set.text, step),
                        resumed.step(resumed.batch(step)), want);
    }
    expect_equal_bits(item, set.text + ", resumed at step 2, the state after step 3", resumed.state(),
                      straight.state());
  }
}

// A loss whose parameters and buffers are set back to the start must begin again, whatever it went through.
void state_is_registered(const Subject& subject, Item& item) {
  for (const OptionSet& set : subject.sets.single) {
    Trial trial(subject.component, set);
    const Tensors start = trial.state();
    std::vector<Outcome> first;
    for (int64_t step = 0; step < kSteps; ++step) first.push_back(trial.step(trial.batch(step)));
    const Tensors end = trial.state();
    trial.load(start);
    for (int64_t step = 0; step < kSteps; ++step) {
      expect_equal_bits(item, fmt::format("{}, set back to its start, step {}", set.text, step),
                        trial.step(trial.batch(step)), first[static_cast<size_t>(step)]);
    }
    expect_equal_bits(item, set.text + ", set back to its start, the state after three steps", trial.state(),
                      end);
  }
}

// Evaluation moves nothing, and in training only after_step does: what forward changes would be changed twice
// by a second pass.
void evaluation_changes_nothing(const Subject& subject, Item& item) {
  for (const OptionSet& set : subject.sets.single) {
    Trial trial(subject.component, set);
    trial.step(trial.batch(0));
    const Tensors before = trial.state();
    LossInput input = trial.input(trial.batch(1), World::single());
    trial.loss()(input);
    expect_equal_bits(item, set.text + ", after forward without after_step", trial.state(), before);
    trial.load(before);
    trial.loss().eval();
    input = trial.input(trial.batch(1), World::single());
    input.training = false;
    trial.loss()(input);
    expect_equal_bits(item, set.text + ", after evaluation", trial.state(), before);
  }
}

}  // namespace foil::conformance
