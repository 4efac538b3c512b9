// SPDX-License-Identifier: BSD-3-Clause
// The Subject that evaluate() measures, made of an experiment's tower and pipeline; and evaluation while
// training.
#include "experiment/evaluation.h"

#include "evaluate/class_frequency.h"
#include "evaluate/encode.h"
#include "evaluate/measure.h"
#include "run/progress.h"

#include <fmt/format.h>
#include <torch/types.h>

namespace foil {
namespace {

// Each modality through its tower, in evaluation mode on `prepare`d batches. The caller sets the mode.
std::vector<Subject> model_subjects(Experiment& experiment) {
  std::vector<Subject> subjects;
  const std::vector<Pipeline::Seen>& modalities = experiment.pipeline->modalities();
  for (size_t m = 0; m < modalities.size(); ++m) {
    Subject subject;
    subject.modality = modalities[m].name;
    subject.encode = [&experiment, bf16 = experiment.plan.run.bf16()](const View& view) {
      const Tower::Output out = experiment.model->forward({view}, bf16);
      return Encoded{out.h[0], out.z[0]};
    };
    subject.prepare = [pipeline = experiment.pipeline, m](const Views& raw) {
      return pipeline->evaluation_view(raw, m);
    };
    subject.preparation = modalities[m].preparation;
    if (modalities.size() == 1) {  // of several, which one a loss clusters it does not say
      for (const LossTerm& term : experiment.losses)
        subject.assignments.push_back([loss = term.loss](const Tensor& z) {
          return loss->clusters(loss->needs().raw_z ? z : unit(z));
        });
    }
    subjects.push_back(std::move(subject));
  }
  return subjects;
}

// `subjects` with pairs of views, and everything that EvaluateOptions asks for.
nlohmann::json evaluate_whole(Experiment& experiment, World& world, std::vector<Subject> subjects,
                              const EvaluationProgress& progress, SampleHits* hits) {
  torch::NoGradGuard no_grad;
  const Pipeline& pipeline = *experiment.pipeline;
  for (size_t m = 0; m < subjects.size() && pipeline.augments(); ++m) {
    // Two views of a sample as in training, keyed by a step that training never has.
    const Pipeline::Seen& seen = pipeline.modalities()[m];
    subjects[m].encode_pair = [&experiment, &seen, encode = subjects[m].encode](Split split,
                                                                                const Tensor& index) {
      const Dataset& data = *experiment.dataset;
      const Views raw = data.read(split, index);
      const auto one = [&](int64_t v) {
        View view = experiment.pipeline->training_view(raw, index, -1, v);
        view.key.reset();  // an encoder draws nothing in evaluation
        const Encoded encoded = encode(view);
        return Encoded{rows_of(encoded.h, data, split, index), rows_of(encoded.z, data, split, index)};
      };
      return std::pair{one(seen.view), one(seen.other)};
    };
    subjects[m].augmentation = "training-views";
  }
  return evaluate(subjects, *experiment.dataset, experiment.plan.evaluate, world, progress, hits);
}

// By class frequency, the mean of what the losses keep for every training sample: learned temperatures.
void add_sample_states(const Experiment& experiment, nlohmann::json& result) {
  const Tensor label = experiment.dataset->labels(Split::train);
  if (!label.defined() || experiment.sizes.classes == 0) return;
  const auto groups = frequency_groups(label.masked_select(label >= 0), experiment.sizes.classes);
  for (size_t i = 0; i < experiment.losses.size(); ++i) {
    for (const auto& state : experiment.losses[i].loss->named_buffers()) {
      const Tensor& values = state.value();
      if (values.dim() != 1 || values.size(0) != experiment.sizes.dataset_size || !values.is_floating_point())
        continue;
      for (const FrequencyGroup& group : groups) {
        if (const auto mean = group_mean(values, label, group)) {
          Measure measure;
          measure.title = fmt::format("loss {} {} {}", i, state.key(), group.name);
          result[fmt::format("loss.{}.{}_{}", i, state.key(), group.name)] = entry_of(
              measure, *mean, fmt::format("mean/train{}/{}-third-of-classes", values.size(0), group.name));
        }
      }
    }
  }
}

}  // namespace

MeasuredData data_of(const Experiment& experiment) {
  return {experiment.plan.data.component->name, experiment.whole->identity()};
}

EvaluationProgress evaluation_progress(const World& world, bool quiet) {
  if (quiet || world.rank() != 0) return {};
  auto line = std::make_shared<std::pair<std::string, std::unique_ptr<Progress>>>();
  return [line](const std::string& what, int64_t done, int64_t all) {
    if (line->first != what || !line->second)
      *line = {what, std::make_unique<Progress>(what, all, 0, Progress::options_for_stderr(false))};
    line->second->update(done, {});
    if (done >= all) {
      line->second->finish();
      line->second.reset();
    }
  };
}

nlohmann::json evaluate_tower(Experiment& experiment, World& world, const EvaluationProgress& progress,
                              SampleHits* hits) {
  experiment.model->eval();
  nlohmann::json result = evaluate_whole(experiment, world, model_subjects(experiment), progress, hits);
  if (experiment.plan.evaluate.class_frequency) add_sample_states(experiment, result);
  return result;
}

nlohmann::json evaluate_pixels(Experiment& experiment, World& world, const EvaluationProgress& progress) {
  std::vector<Subject> pixels = model_subjects(experiment);
  for (Subject& subject : pixels) subject.encode = raw_pixels;
  return evaluate_whole(experiment, world, pixels, progress, nullptr);
}

nlohmann::json evaluate_online(Experiment& experiment, World& world) {
  EvaluateOptions options = experiment.plan.evaluate;
  options.linear = options.class_frequency = options.clustering = options.geometry =
      options.nodes.node_probe = false;
  options.zero_shot = {};
  const auto some = [&](Split split) {
    return draw_rows(experiment.dataset->size(split), options.online_samples, name_key("online"));
  };
  // Of a graph all training nodes: those with a label may be few.
  const Tensor train = experiment.dataset->nodes(Split::train).defined() ? Tensor() : some(Split::train);
  const SelectedDataset part(experiment.dataset, train, some(Split::test), some(Split::validation));
  std::vector<Subject> subjects = model_subjects(experiment);
  for (Subject& subject : subjects) subject.preparation += "/drawn";
  experiment.model->eval();
  const nlohmann::json measured = evaluate(subjects, part, options, world);
  experiment.model->train();
  nlohmann::json row;
  for (const auto& [key, entry] : measured.items()) {
    const std::string name = metric_of(key, entry);
    row[name] = entry["value"];
    row[name + ".protocol"] = entry["protocol"];
  }
  return row;
}

}  // namespace foil
