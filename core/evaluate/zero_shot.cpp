// SPDX-License-Identifier: BSD-3-Clause
// Prompts to classes; the search for the nearest class is that of retrieval.
#include "evaluate/zero_shot.h"

#include "data/lines.h"
#include "evaluate/checks.h"
#include "evaluate/measuring.h"
#include "evaluate/retrieval.h"
#include "run/file.h"

#include <torch/types.h>

#include <algorithm>

namespace foil {
namespace {

constexpr std::string_view kPlace = "{}";

std::string filled(std::string prompt, const std::string& name) {
  for (size_t at = 0; (at = prompt.find(kPlace, at)) != prompt.npos; at += name.size())
    prompt.replace(at, kPlace.size(), name);
  return prompt;
}

std::string shown(const std::vector<std::string>& templates) {
  return "[" + in_quotes(templates[0]) + (templates.size() > 1 ? ", ...]" : "]");
}

std::vector<std::string> names_of(const ZeroShotOptions& options, const Dataset& data) {
  return options.classes.empty() ? data.classes() : options.classes;
}

}  // namespace

void ZeroShotOptions::describe(Fields& fields) {
  fields.texts("zero_shot", templates,
               "zero-shot classification by these prompts, {} being the name of the class, as \"a photo of a "
               "{}.\"; [] = none");
  fields.texts("zero_shot_classes", classes,
               "the names of the classes in the prompts, in label order; [] = those of the data set");
}

void ZeroShotOptions::check() const {
  for (const std::string& prompt : templates)
    if (prompt.find(kPlace) == prompt.npos)
      refuse("evaluate.zero_shot", in_quotes(prompt), "prompts with {} in the place of the class");
  if (templates.empty() && !classes.empty())
    refuse("evaluate.zero_shot_classes", shown(classes), "[] without prompts in evaluate.zero_shot");
}

void require_zero_shot(const ZeroShotOptions& options, const Dataset& data, Split measured,
                       const std::vector<std::string>& seen) {
  if (options.templates.empty()) return;
  const auto none = [&](const std::string& why) {
    refuse("evaluate.zero_shot", shown(options.templates), "[], as " + why);
  };
  bool other = false;
  std::vector<Modality> texts;
  for (const Modality& modality : data.modalities()) {
    if (std::find(seen.begin(), seen.end(), modality.name) == seen.end()) continue;
    other = other || modality.shape.kind != Kind::text;
    if (modality.shape.kind == Kind::text) texts.push_back(modality);
  }
  if (texts.empty()) none("no view is of a text");
  if (!other) none("all views are of texts");
  const size_t classes = data.classes().size(), names = options.classes.size();
  const Tensor label = data.labels(data.size(measured) > 0 ? measured : Split::train);
  if (classes == 0 || !label.defined() || label.lt(0).all().item<bool>())
    none("no sample that is measured has a label");
  if (names > 0 && names != classes)
    refuse("evaluate.zero_shot_classes", std::to_string(names) + (names == 1 ? " name" : " names"),
           std::to_string(classes) + ", one for each class of the data set");
  for (const std::string& prompt : prompts_of(options, data))
    for (const Modality& text : texts)
      if (std::ssize(prompt) > text.shape.sizes[0])
        refuse("evaluate.zero_shot", in_quotes(prompt),
               "prompts of at most " + std::to_string(text.shape.sizes[0]) +
                   " bytes, as long as the longest " + in_quotes(text.name));
}

std::vector<std::string> prompts_of(const ZeroShotOptions& options, const Dataset& data) {
  std::vector<std::string> prompts;
  for (const std::string& name : names_of(options, data))
    for (const std::string& prompt : options.templates) prompts.push_back(filled(prompt, name));
  return prompts;
}

Tensor class_embeddings(const Tensor& prompts, int64_t classes) {
  check_embeddings("zero-shot, prompts", prompts);
  const Tensor units = unit_rows(prompts);  // [C * T, D]
  return unit_rows(units.reshape({classes, -1, units.size(1)}).mean(1));
}

void measure_zero_shot(Measuring& of, const Search& search, const std::vector<std::string>& prompts) {
  const Retrieval found = retrieve(search.queries, search.candidates, search.relevance, of.ranks);
  std::string all;
  for (const std::string& prompt : prompts) all += prompt + '\0';
  const std::string id = search.id("zero-shot-cosine-ties-last-" + checksum(all), of);
  const int64_t classes = search.candidates.size(0), templates = std::ssize(prompts) / classes;
  const auto add = [&](const std::string& name, const std::string& title, double share, bool headline) {
    of.add(search.name() + "." + name, {search.name() + " " + title, "%", 1, Better::higher, headline},
           100 * share, id,
           {{"queries", found.answerable()}, {"classes", classes}, {"templates", templates}});
  };
  const Tensor known = found.rank > 0, hit = (found.rank == 1).masked_select(known).to(torch::kDouble);
  const Tensor label = search.relevance.query.cpu().masked_select(known);
  const Tensor samples = label.bincount({}, classes), hits = label.bincount(hit, classes);
  const Tensor there = samples > 0;
  add("zero_shot", "zero-shot", found.recall_at(1), true);
  add("zero_shot_top5", "zero-shot top-5", found.recall_at(5), false);
  add("zero_shot_class_mean", "zero-shot mean per class",
      (hits.masked_select(there) / samples.masked_select(there)).mean().item<double>(), false);
}

}  // namespace foil
