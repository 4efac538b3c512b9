// SPDX-License-Identifier: BSD-3-Clause
// The items of an augmentation, under each of its option sets and for each kind of data that it takes.
#include "augmentation_data.h"
#include "conformance.h"
#include "graph_augmentations.h"
#include "trial_data.h"
#include "trials.h"

#include <foil/augmentation.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/cuda.h>
#include <torch/types.h>

namespace foil::conformance {
namespace {

AugmentContext place(const Tensor& index) { return {11, 3, 1, 2, index}; }
Tensor all_samples() { return torch::arange(kSamples) * 1000003 + 17; }

// An option set and data that the augmentation takes under it.
struct Case {
  OptionSet set;
  Data data;
  std::string where() const { return set.text + ", " + data.text; }
  // Made, and shown the data set.
  std::shared_ptr<Augmentation> make_one(const Subject& subject) const {
    auto augmentation = make<Augmentation>(subject.component, set);
    const View all = data.view();
    augmentation->setup(
        TrialData(data.shape, all.size(), [all](const Tensor& index) { return samples_at(all, index); }));
    return augmentation;
  }
};

// Its own word of what it takes: kinds, shape_after and, for images of different sizes, accepts_ragged.
std::vector<Case> cases(const Subject& subject, std::vector<std::string>* refused = nullptr) {
  std::vector<Case> found;
  for (const OptionSet& set : subject.sets.single) {
    for (const Data& data : augmentation_data()) {
      const auto augmentation = make<Augmentation>(subject.component, set);
      const bool ragged = data.shape.sizes.back() == -1;
      const std::vector<Kind> kinds = augmentation->kinds();
      if (std::find(kinds.begin(), kinds.end(), data.shape.kind) == kinds.end()) continue;
      if (ragged && !augmentation->accepts_ragged()) continue;
      const Case one{set, data};
      const auto said = refusal([&] {
        augmentation->shape_after(data.shape);
        one.make_one(subject)->apply(data.view(), place(all_samples()));
      });
      if (!said)
        found.push_back(one);
      else if (refused)
        refused->push_back(fmt::format("{}, {}: {}{}", set.text, data.text, said->text,
                                       said->is_error ? "" : " (not a foil::Error)"));
    }
  }
  return found;
}

Tensor apply(Augmentation& augmentation, const View& view, const AugmentContext& context) {
  const Tensor data = augmentation.apply(view, context).data;
  if (!data.defined()) fail(Exit::failure, "apply() gives no data");
  return data;
}

// ---- What goes in and comes out

void expect_shape(Item& item, const std::string& where, const Tensor& got, int64_t rows,
                  std::vector<int64_t> said) {
  said.insert(said.begin(), rows);
  item.expect(got.sizes() == at::IntArrayRef(said), where,
              fmt::format("it gives {}, shape_after() says {}", text_of(got.sizes()), text_of(said)));
}

void shapes_are_as_said(const Subject& subject, Item& item) {
  std::vector<std::string> refused;
  const std::vector<Case> found = cases(subject, &refused);
  item.expect(graphs::are_taken(subject, refused) || !found.empty(), "every option set",
              fmt::format("takes none of the data tried: {}", fmt::join(refused, "; ")));
  for (const std::string& text : refused)
    item.expect(!text.ends_with("(not a foil::Error)"), "data that it is not for",
                text + ", expected an Error that says what it takes");
  for (const Case& one : found) {
    const auto augmentation = one.make_one(subject);
    const Shape said = augmentation->shape_after(one.data.shape);
    const bool drawn = one.data.shape.kind == Kind::text && said.kind == Kind::image;
    item.expect(said.kind == one.data.shape.kind || drawn, one.where(),
                "shape_after() changes the kind, allowed: an image of a text");
    const std::vector<int64_t>& after = said.sizes;
    const View view = one.data.view();
    expect_shape(item, one.where(), apply(*augmentation, view, place(all_samples())), kSamples, after);
    const Tensor none = torch::empty({0}, torch::kLong);
    if (view.data.defined())
      expect_shape(item, one.where() + ", no sample",
                   apply(*augmentation, samples_at(view, none), place(none)), 0, after);
    const View evaluated = augmentation->evaluate(view);
    item.expect(evaluated.size() == kSamples, one.where() + ", evaluation",
                fmt::format("it gives {} of {} samples", evaluated.size(), kSamples));
    if (evaluated.data.defined())
      item.expect(evaluated.data.dim() == static_cast<int64_t>(after.size()) + 1 &&
                      evaluated.data.size(1) == after[0],
                  one.where() + ", evaluation",
                  fmt::format("it gives {}, and for training shape_after() says {}",
                              text_of(evaluated.data.sizes()), text_of(after)));
  }
}

// The view that was given stays as it was, and what is no data goes on to the next augmentation.
void input_is_left_alone(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    for (const bool training : {true, false}) {
      const auto augmentation = one.make_one(subject);
      View view = one.data.view();
      view.modality = "depth";
      view.key = torch::arange(kSamples) + 5;
      view.params = random_numbers({kSamples, 2}, 4);
      if (view.data.defined())
        view.data = view.data.is_floating_point() ? view.data.to(at::kDouble) : view.data;
      std::vector<View> inputs = {view};
      if (view.data.defined() && !view.data.is_floating_point()) {
        inputs.push_back(view);
        inputs.back().data = as_numbers(view);
      }
      for (const View& input : inputs) {
        const Tensor data = input.data.defined() ? input.data.clone() : Tensor();
        std::vector<Tensor> ragged;
        for (const Tensor& image : input.ragged) ragged.push_back(image.clone());
        const View out =
            training ? augmentation->apply(input, place(all_samples())) : augmentation->evaluate(input);
        const std::string where = one.where() + (training ? "" : ", evaluation");
        if (data.defined())
          item.expect_equal_bits(where, "after it the view that was given", input.data, data);
        for (size_t b = 0; b < ragged.size(); ++b)
          item.expect_equal_bits(where, "after it an image that was given", input.ragged[b], ragged[b]);
        item.expect(out.modality == "depth", where,
                    "the modality 'depth' became '" + out.modality + "': begin with the view that was given");
        item.expect(out.key.defined() && torch::equal(out.key, view.key), where,
                    "View::key is lost: begin with the view that was given");
        item.expect(out.params.defined(), where,
                    "View::params of an earlier augmentation are lost: begin with the view that was given");
      }
    }
  }
}

// Bytes, fp32 and fp64, and another layout: the same image.
void types_are_alike(const Subject& subject, Item& item) {
  constexpr double kRounding = 2e-5;
  for (const Case& one : cases(subject)) {
    const View view = one.data.view();
    if (!view.data.defined() || view.kind == Kind::text) continue;
    const auto augmentation = one.make_one(subject);
    const bool raw = !view.data.is_floating_point();
    const auto given = [&](const Tensor& data) {
      View other = view;
      other.data = data;
      return apply(*augmentation, other, place(all_samples()));
    };
    const Tensor single = as_numbers(view), want = given(single);
    const double allowed =
        kRounding * magnitude(one.set) * std::max(1.0, want.numel() ? want.abs().max().item<double>() : 0);
    item.expect(want.scalar_type() == at::kFloat, one.where(),
                fmt::format("of fp32 it makes {}", c10::toString(want.scalar_type())));
    if (raw) {
      const Tensor got = given(view.data);
      item.expect(got.scalar_type() == at::kFloat, one.where(),
                  fmt::format("of {} it makes {}, allowed: floats", view.data.toString(),
                              c10::toString(got.scalar_type())));
      item.expect_close(one.where() + ", as read", "the data", got, want, allowed);
    }
    if (single.dim() == 4)
      item.expect_close(one.where() + ", channels last", "the image",
                        given(single.contiguous(at::MemoryFormat::ChannelsLast)), want, allowed);
    const Tensor wide = given(single.to(at::kDouble));
    item.expect(wide.scalar_type() == at::kDouble, one.where(),
                fmt::format("of fp64 it makes {}", c10::toString(wide.scalar_type())));
    item.expect_close(one.where() + ", fp64", "the data", wide, want, allowed);
  }
}

// ---- What may matter

void draws_are_keyed(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    const auto augmentation = one.make_one(subject), other = one.make_one(subject);
    const View view = one.data.view();
    torch::manual_seed(1);
    const GlobalDraws draws;
    const Tensor want = apply(*augmentation, view, place(all_samples()));
    item.expect(!draws.any(), one.where(),
                "it draws from LibTorch's global generator; draw from context.draws(b)");
    apply(*augmentation, view, place(all_samples() + 3));
    torch::manual_seed(2);
    item.expect_equal_bits(one.where(), "at the same place again, the data",
                           apply(*augmentation, view, place(all_samples())), want);
    item.expect_equal_bits(one.where(), "of another one made alike, the data",
                           apply(*other, view, place(all_samples())), want);
  }
}

// Where the place of a draw matters, all of it does: seed, step, view, position in the pipeline and sample.
// By the default options.
void every_part_of_the_place_matters(const Subject& subject, Item& item) {
  const std::vector<Case> all = cases(subject);
  for (const Case& one : all) {
    if (one.set.text != all.front().set.text) continue;
    const auto augmentation = one.make_one(subject);
    const View view = one.data.view();
    const Tensor want = apply(*augmentation, view, place(all_samples()));
    const std::pair<const char*, void (*)(AugmentContext&, int64_t)> parts[] = {
        {"seed", [](AugmentContext& c, int64_t by) { c.seed += static_cast<uint64_t>(by); }},
        {"step", [](AugmentContext& c, int64_t by) { c.step += by; }},
        {"view", [](AugmentContext& c, int64_t by) { c.view += by; }},
        {"position", [](AugmentContext& c, int64_t by) { c.position += by; }},
        {"sample", [](AugmentContext& c, int64_t by) { c.index = c.index + by; }}};
    std::vector<std::string> matter, not_matter;
    for (const auto& [name, move] : parts) {
      bool moved = false;
      for (int64_t by = 1; by <= 16 && !moved;
           ++by) {  // a draw may come out alike by chance, not sixteen times
        AugmentContext context = place(all_samples());
        move(context, by);
        moved = !torch::equal(apply(*augmentation, view, context), want);
      }
      (moved ? matter : not_matter).push_back(name);
    }
    item.expect(matter.empty() || not_matter.empty(), one.where(),
                fmt::format("its draws differ by {} but not by {}; context.draws(b) is keyed by all",
                            fmt::join(matter, ", "), fmt::join(not_matter, ", ")));
  }
}

void only_the_sample_matters(const Subject& subject, Item& item) {
  const Tensor order = torch::tensor({3, 0, 6, 2, 5, 1, 4}, torch::kLong), index = all_samples();
  const int threads = at::get_num_threads();
  for (const Case& one : cases(subject)) {
    const auto augmentation = one.make_one(subject);
    const View view = one.data.view();
    const Tensor whole = apply(*augmentation, view, place(index));
    const auto expect_rows = [&](const std::string& what, const Tensor& positions) {
      const Tensor got =
          apply(*augmentation, samples_at(view, positions), place(index.index_select(0, positions)));
      item.expect_equal_bits(one.where() + ", " + what, "the data", got, whole.index_select(0, positions));
    };
    expect_rows("samples in the order 3 0 6 2 5 1 4", order);
    expect_rows("samples 2 to 4 alone, as a rank has them", torch::arange(2, 5));
    for (int64_t b = 0; b < kSamples; ++b) expect_rows("a sample alone", torch::tensor({b}, torch::kLong));
    at::set_num_threads(3);
    expect_rows("on three threads", torch::arange(kSamples));
    at::set_num_threads(threads);
  }
}

void evaluation_draws_nothing(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    const auto augmentation = one.make_one(subject);
    const View view = one.data.view();
    const GlobalDraws draws;
    const View first = augmentation->evaluate(view);
    item.expect(!draws.any(), one.where(), "evaluation draws from LibTorch's global generator");
    augmentation->apply(view, place(all_samples()));
    const View again = augmentation->evaluate(view),
               alone = augmentation->evaluate(samples_at(view, torch::tensor({4}, torch::kLong)));
    if (!first.data.defined()) {
      item.expect(!view.data.defined(), one.where(), "evaluation takes the data away");
      continue;
    }
    item.expect_equal_bits(one.where() + ", evaluated again", "the data", again.data, first.data);
    item.expect_equal_bits(one.where() + ", a sample alone in evaluation", "the data", alone.data,
                           first.data.slice(0, 4, 5));
    if (!view.data.defined()) continue;
    View single = view;
    single.data = as_numbers(view);
    const bool prepares = !torch::equal(augmentation->evaluate(single).data, single.data);
    item.expect(
        !prepares || !augmentation->evaluation_name().empty(), one.where(),
        "evaluation changes the data and evaluation_name() does not say so: results would not name it");
  }
}

void extremes_stay_finite(const Subject& subject, Item& item) {
  for (const Case& one : cases(subject)) {
    const View view = one.data.view();
    if (!view.data.defined() || view.kind == Kind::text) continue;
    const auto augmentation = one.make_one(subject);
    const Tensor data = as_numbers(view);
    for (const auto& [name, change] : {std::pair{"as it is", data},
                                       {"black", torch::zeros_like(data)},
                                       {"white", torch::ones_like(data)}}) {
      View other = view;
      other.data = change;
      item.expect_finite(one.where() + ", " + name, "the data",
                         apply(*augmentation, other, place(all_samples())));
    }
  }
}

void cuda_equals_cpu(const Subject& subject, Item& item) {
  if (!torch::cuda::is_available()) return item.skip("there is no CUDA device");
  for (const Case& one : cases(subject)) {
    const View view = one.data.view();
    if (!view.data.defined()) continue;
    const auto augmentation = one.make_one(subject);
    View there = view;
    there.data = view.data.cuda();
    const Tensor want = apply(*augmentation, view, place(all_samples()));
    item.expect_close(one.where() + ", CUDA", "the data", apply(*augmentation, there, place(all_samples())),
                      want, 1e-5 * std::max(1.0, want.abs().max().item<double>()));
  }
}

}  // namespace

namespace {

// Of samples, and of graphs.
template <auto of_samples, auto of_graphs>
void both(const Subject& subject, Item& item) {
  of_samples(subject, item);
  of_graphs(subject, item);
}

}  // namespace

std::vector<Check> augmentation_checks() {
  return {{"shapes", both<shapes_are_as_said, graphs::keep_their_nodes>, /*decides=*/true},
          {"input", both<input_is_left_alone, graphs::are_left_alone>},
          {"types", both<types_are_alike, graphs::of_all_types_are_alike>},
          {"draws", both<draws_are_keyed, graphs::are_drawn_by_key>, /*decides=*/true},
          {"place", both<every_part_of_the_place_matters, graphs::are_drawn_by_the_whole_place>},
          {"permutation", both<only_the_sample_matters, graphs::do_not_depend_on_the_order_of_edges>},
          {"evaluation", both<evaluation_draws_nothing, graphs::are_evaluated_without_draws>},
          {"extremes", both<extremes_stay_finite, graphs::stay_finite>},
          {"cuda", both<cuda_equals_cpu, graphs::on_cuda_are_those_on_the_cpu>}};
}

}  // namespace foil::conformance
