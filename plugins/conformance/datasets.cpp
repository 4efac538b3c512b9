// SPDX-License-Identifier: BSD-3-Clause
// The items of a data set, under each of its option sets and for each split that it has.
#include "conformance.h"
#include "evaluate/evaluate.h"
#include "graph_data.h"
#include "trials.h"

#include <foil/dataset.h>

#include <fmt/format.h>
#include <torch/types.h>

#include <map>
#include <thread>

namespace foil::conformance {
namespace {

constexpr int64_t kMost = 48;  // samples that are read of a split

constexpr Split kSplits[] = {Split::train, Split::validation, Split::test};

std::shared_ptr<Dataset> made(const Subject& subject, const OptionSet& set) {
  return make<Dataset>(subject.component, set);
}

// Rows all over a split: some of the first, some of the last, those between evenly.
Tensor some_rows(int64_t size) {
  if (size <= kMost) return torch::arange(size, torch::kLong);
  return torch::linspace(0, static_cast<double>(size - 1), kMost, torch::kDouble).round().to(torch::kLong);
}

// The samples of all modalities, as numbers: sample b of each is tensor b.
std::vector<std::vector<Tensor>> samples(const Views& views) {
  std::vector<std::vector<Tensor>> all;
  for (const View& view : views) {
    all.emplace_back();
    for (int64_t b = 0; b < view.size(); ++b)
      all.back().push_back(view.data.defined() ? view.data[b].contiguous()
                                               : view.ragged[static_cast<size_t>(b)]);
  }
  return all;
}

// Sample `at[i]` of `want` is sample i of `got`, bit for bit; of a graph each reading is the whole.
void expect_samples(Item& item, const std::string& where, const Views& got, const Views& want,
                    const Tensor& at) {
  if (want.size() == 1 && got.size() == 1 && want[0].kind == Kind::graph)
    return expect_whole(item, where, got[0], want[0]);
  const auto a = samples(got), b = samples(want);
  if (a.size() != b.size())
    return item.fail(where, fmt::format("{} modalities, elsewhere {}", a.size(), b.size()));
  for (size_t m = 0; m < a.size(); ++m) {
    if (static_cast<int64_t>(a[m].size()) != at.size(0))
      return item.fail(where, fmt::format("read() of {} samples gives {}", at.size(0), a[m].size()));
    for (int64_t i = 0; i < at.size(0); ++i)
      item.expect_equal_bits(where, fmt::format("sample {}", i), a[m][static_cast<size_t>(i)],
                             b[m][static_cast<size_t>(at[i].item<int64_t>())]);
  }
}

// f(set's text, split, the data set) for all that there is.
template <class F>
void for_each_split(const Subject& subject, F f) {
  for (const OptionSet& set : subject.sets.single) {
    const std::shared_ptr<Dataset> dataset = made(subject, set);
    for (const Split split : kSplits) {
      if (split == Split::train || dataset->size(split) != 0)
        f(set.text + ", " + name_of(split), split, *dataset);
    }
  }
}

void labels_fit(const Subject& subject, Item& item) {
  if (subject.sets.single.empty()) return item.fail("every option set", "is refused");
  for_each_split(subject, [&](const std::string& where, Split split, const Dataset& dataset) {
    const int64_t size = dataset.size(split), classes = static_cast<int64_t>(dataset.classes().size());
    item.expect(split == Split::train ? size > 0 : size >= 0, where, fmt::format("size() is {}", size));
    const Tensor groups = dataset.groups(split);
    item.expect(
        !groups.defined() || (groups.scalar_type() == at::kLong && groups.sizes() == at::IntArrayRef({size})),
        where, "groups() is neither undefined nor int64 [size]");
    const auto nodes_fit = [&] {
      if (is_graph(dataset)) expect_nodes(item, where, split, dataset);
    };
    const Tensor labels = dataset.labels(split);
    item.expect(labels.defined() == (classes > 0), where,
                fmt::format("classes() names {} classes, and labels() are {}", classes,
                            labels.defined() ? "there" : "undefined"));
    if (!labels.defined()) return nodes_fit();
    if (labels.scalar_type() != at::kLong || labels.sizes() != at::IntArrayRef({size}) ||
        !labels.device().is_cpu())
      return item.fail(where, fmt::format("labels() is {} {}, allowed: int64 [{}] on the CPU",
                                          labels.toString(), text_of(labels.sizes()), size));
    nodes_fit();
    if (size == 0) return;
    const int64_t low = labels.min().item<int64_t>(), high = labels.max().item<int64_t>();
    item.expect(low >= -1 && high < classes, where,
                fmt::format("labels go from {} to {}, allowed: -1 (none) to {}, as classes() names {}", low,
                            high, classes - 1, classes));
    item.expect_equal_bits(where, "labels() asked again", dataset.labels(split), labels);
  });
}

// How the samples of a kind are read: their axes, and their type in words.
struct Raw {
  size_t axes;
  bool (*is)(const Tensor&);
  const char* text;
};
Raw raw_form(Kind kind) {
  switch (kind) {
    case Kind::image:
      return {3, [](const Tensor& x) { return x.scalar_type() == at::kByte; }, "uint8 images [C, H, W]"};
    case Kind::audio:
      return {1, [](const Tensor& x) { return x.scalar_type() == at::kShort; }, "int16 waves [T]"};
    case Kind::text:
      return {1, [](const Tensor& x) { return x.scalar_type() == at::kByte; }, "uint8 text [L]"};
    case Kind::graph:
      return {1, [](const Tensor& x) { return x.is_floating_point(); }, "nodes with features [F], floats"};
    case Kind::vector:
      break;
  }
  return {1, [](const Tensor& x) { return x.is_floating_point(); }, "vectors [F] of floats"};
}

void expect_sample(Item& item, const std::string& where, const Tensor& sample, const Shape& shape) {
  bool fits = sample.dim() == static_cast<int64_t>(shape.sizes.size());
  for (int64_t d = 0; fits && d < sample.dim(); ++d) {
    const int64_t said = shape.sizes[static_cast<size_t>(d)];
    fits = said == -1 || said == sample.size(d);
  }
  item.expect(
      fits, where,
      fmt::format("a sample is {}, modalities() says {}", text_of(sample.sizes()), text_of(shape.sizes)));
  const Raw raw = raw_form(shape.kind);
  item.expect(raw.is(sample) && sample.device().is_cpu(), where,
              fmt::format("a sample is {}, allowed: {} on the CPU", sample.toString(), raw.text));
}

// Entries of the last axis that count: int64 [B] on the CPU, behind them zeros.
void expect_lengths(Item& item, const std::string& where, const View& view) {
  if (!view.length.defined()) return;
  const Tensor& length = view.length;
  if (length.scalar_type() != at::kLong || length.sizes() != at::IntArrayRef({view.size()}) ||
      !length.device().is_cpu())
    return item.fail(where, fmt::format("the lengths are {} {}, allowed: int64 [{}] on the CPU",
                                        length.toString(), text_of(length.sizes()), view.size()));
  const Tensor beyond = torch::arange(view.data.size(-1)) >= length.unsqueeze(1);  // [B, last axis]
  item.expect(!(view.data.ne(0) & beyond).any().item<bool>(), where, "what stands behind a length is not 0");
}

void shapes_are_as_said(const Subject& subject, Item& item) {
  for_each_split(subject, [&](const std::string& set, Split split, const Dataset& dataset) {
    const std::vector<Modality> modalities = dataset.modalities();
    const Views views = dataset.read(split, some_rows(dataset.size(split)));
    if (modalities.empty()) return item.fail(set, "modalities() names none");
    if (views.size() != modalities.size())
      return item.fail(
          set, fmt::format("read() gives {} views, modalities() names {}", views.size(), modalities.size()));
    for (size_t m = 0; m < views.size(); ++m) {
      const auto& [modality, shape] = modalities[m];
      const std::string where = modalities.size() == 1 ? set : set + ", " + modality;
      item.expect(shape.sizes.size() == raw_form(shape.kind).axes, where,
                  fmt::format("modalities() says {} {}, allowed: {}", name_of(shape.kind),
                              text_of(shape.sizes), raw_form(shape.kind).text));
      item.expect(views[m].modality == modality && views[m].kind == shape.kind, where,
                  fmt::format("the view is of '{}' ({}), modalities() says '{}' ({})", views[m].modality,
                              name_of(views[m].kind), modality, name_of(shape.kind)));
      if (shape.kind == Kind::graph) {
        expect_graph(item, where, views[m], dataset);
        continue;
      }
      item.expect(views[m].data.defined() == views[m].ragged.empty(), where,
                  "a view has either data or ragged");
      const auto read = samples({views[m]});  // named: the loop would outlive it
      for (const Tensor& sample : read[0]) expect_sample(item, where, sample, shape);
      if (views[m].data.defined()) expect_lengths(item, where, views[m]);
    }
  });
}

void reading_is_by_index(const Subject& subject, Item& item) {
  for_each_split(subject, [&](const std::string& where, Split split, const Dataset& dataset) {
    const Tensor rows = some_rows(dataset.size(split)), n = torch::arange(rows.size(0));
    Views whole = dataset.read(split, rows);
    const auto expect_read = [&](const std::string& what, const Tensor& at) {
      const Tensor index = rows.index_select(0, at), kept = index.clone();
      expect_samples(item, where + ", " + what, dataset.read(split, index), whole, at);
      item.expect(torch::equal(index, kept), where + ", " + what, "read() writes into the index");
    };
    expect_read("again", n);
    expect_read("in reverse", n.flip(0));
    expect_read("a sample three times", n.slice(0, 0, 1).repeat({3}));
    expect_read("one sample", n.slice(0, -1));
    expect_read("no sample", n.slice(0, 0, 0));
    if (is_graph(dataset)) return;  // the whole, which nobody writes, may be the data set's own
    // What was read is the reader's: writing there must not change the data set.
    Views mine = dataset.read(split, rows);
    for (View& view : mine) {
      if (view.data.defined()) view.data.fill_(1);
      for (Tensor& image : view.ragged) image.fill_(1);
    }
    expect_read("after writing into what was read", n);
  });
}

void threads_read_alike(const Subject& subject, Item& item) {
  constexpr size_t kThreads = 4;
  for_each_split(subject, [&](const std::string& where, Split split, const Dataset& dataset) {
    const Tensor rows = some_rows(dataset.size(split)), n = torch::arange(rows.size(0));
    const Views whole = dataset.read(split, rows);
    std::vector<Views> got(kThreads);
    std::vector<std::string> errors(kThreads);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        try {
          for (int repeat = 0; repeat < 4; ++repeat)
            got[t] = dataset.read(split, rows.roll(static_cast<int64_t>(t)));
        } catch (const std::exception& error) {
          errors[t] = error.what();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t t = 0; t < kThreads; ++t) {
      const std::string here = where + fmt::format(", read from {} threads at once", kThreads);
      if (!errors[t].empty())
        item.fail(here, errors[t]);
      else
        expect_samples(item, here, got[t], whole, n.roll(static_cast<int64_t>(t)));
    }
  });
}

// A short number for what is in a data set, as far as it is read here.
std::string contents(const Dataset& dataset) {
  double sum = 0;
  std::string text;
  for (const Split split : kSplits) {
    const int64_t size = dataset.size(split);
    if (size == 0) continue;
    double place = 1;
    const Views views = dataset.read(split, some_rows(size));
    if (is_graph(dataset)) sum += number_of(views.at(0));
    for (const auto& modality : samples(is_graph(dataset) ? Views() : views)) {
      for (const Tensor& sample : modality)
        sum += sample.to(at::kDouble).sum().item<double>() * (place += 0.37);
    }
    const Tensor labels = dataset.labels(split);
    if (labels.defined()) sum += (labels.to(at::kDouble) * torch::arange(1, size + 1)).sum().item<double>();
    text += fmt::format("{} {}; ", name_of(split), size);
  }
  return text + fmt::format("{:.17g}", sum);
}

// Two made alike are alike, and an identity tells two that differ apart.
void identity_is_of_the_contents(const Subject& subject, Item& item) {
  std::map<std::string, std::pair<std::string, std::string>> seen;  // identity -> contents, option set
  for (const OptionSet& set : subject.sets.single) {
    const std::shared_ptr<Dataset> first = made(subject, set), second = made(subject, set);
    const std::string what = contents(*first), id = first->identity();
    item.expect(what == contents(*second), set.text,
                "made twice from the same options it has other samples or labels");
    item.expect(id == second->identity(), set.text,
                fmt::format("made twice its identity() is '{}' and '{}'", id, second->identity()));
    item.expect(id == first->identity(), set.text, "identity() changes by being asked or by reading");
    if (id.empty()) continue;
    const auto [before, is_new] = seen.try_emplace(id, what, set.text);
    item.expect(before->second.first == what, set.text,
                fmt::format("identity() is '{}' as with {}, where samples or labels differ", id,
                            before->second.second));
  }
  if (seen.empty())
    item.note("identity() says nothing: results then do not tell two of these data sets apart");
}

void reading_draws_nothing(const Subject& subject, Item& item) {
  for_each_split(subject, [&](const std::string& where, Split split, const Dataset& dataset) {
    const GlobalDraws draws;
    dataset.read(split, some_rows(dataset.size(split)));
    item.expect(!draws.any(), where, "read() draws from LibTorch's global generator");
  });
}

}  // namespace

std::vector<Check> dataset_checks() {
  return {{"labels", labels_fit, /*decides=*/true},
          {"shapes", shapes_are_as_said, /*decides=*/true},
          {"read", reading_is_by_index},
          {"threads", threads_read_alike},
          {"identity", identity_is_of_the_contents},
          {"draws", reading_draws_nothing}};
}

}  // namespace foil::conformance
