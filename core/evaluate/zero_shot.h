// SPDX-License-Identifier: BSD-3-Clause
// Zero-shot classification: prompts describe each class, and a sample is of the class whose description is
// nearest to it. Nothing is learned. Radford et al., "Learning Transferable Visual Models From Natural
// Language Supervision", ICML 2021, section 3.1.4.
#pragma once

#include <foil/dataset.h>
#include <foil/fields.h>

namespace foil {

struct Measuring;
struct Search;

struct ZeroShotOptions {
  std::vector<std::string> templates;  // none: not measured
  std::vector<std::string> classes;    // none: those of the data set
  void describe(Fields& fields);
  // Throws Error (Exit::usage) for a template without a place for the name of the class.
  void check() const;
};

// Throws Error (Exit::usage) where zero-shot classification is asked for and cannot be: without views of
// texts and of another kind among the modalities `seen`, without labels in the split that is measured, with
// names for another number of classes, for a prompt that is longer than the texts of the data set.
void require_zero_shot(const ZeroShotOptions& options, const Dataset& data, Split measured,
                       const std::vector<std::string>& seen);

// Every template with the name of every class in the places of its {}: those of the first class first.
std::vector<std::string> prompts_of(const ZeroShotOptions& options, const Dataset& data);

// What stands for each class, of unit norm: the mean of its prompts, which are scaled to unit norm before.
// `prompts` [C * T, D] as prompts_of orders them -> fp64 [C, D].
Tensor class_embeddings(const Tensor& prompts, int64_t classes);

// The share of samples whose class is the nearest by cosine similarity, "image>text.zero_shot", and is among
// the nearest five, and the mean of the first over the classes that have a sample. `search`: of all samples
// among the classes (class_embeddings), relevance by label. Equal similarities count as wrong. `prompts`
// enter the protocol.
void measure_zero_shot(Measuring& of, const Search& search, const std::vector<std::string>& prompts);

}  // namespace foil
