// SPDX-License-Identifier: BSD-3-Clause
// What GRACE and its relatives share: a sample's row of one view tells its row of another view, or the rows
// of its class, from those of all others. Sizes: B samples of this rank, N of all, C candidates, b rows of a
// block.
#pragma once

#include <foil/contrast.h>
#include <foil/plugin.h>

namespace foil {

// Which rows an anchor meets: those of the other view, also those of its own view but itself, or all.
enum class Candidates { other_view, both_views, both_views_and_own };

// How several positives p become one number: the mean of log-shares, or the log of the sum of shares.
enum class Positives { mean_of_logs, log_of_sum };

struct ViewContrast {
  size_t from = 0, to = 1;  // views of the anchors and of their positives
  double temperature = 1;
  Candidates candidates = Candidates::both_views;
  Tensor added = {};  // [N], constant: what each sample's cosines get more; undefined: 0
  Tensor label = {};  // int64 [N]: rows of an anchor's class are positives too; undefined: only its own;
                      // not with `added`
  Positives several = Positives::mean_of_logs;
  Tensor left_out = {};  // int64 [2, E]: anchors and samples that are no negatives of theirs

  // l(i) of the local anchors: [B]. With one positive i'
  //
  //   l(i) = - log( exp s(i,i') / (exp s(i,i') + sum over negatives j of exp s(i,j)) )
  //
  // written as softplus(LSE of the negatives - s(i,i')), which does not cancel when pairs are aligned.
  Tensor operator()(const LossInput& input) const {
    using namespace contrast;
    Pairs pairs = between(input, static_cast<int64_t>(from), static_cast<int64_t>(to), 1 / temperature);
    const Tensor sample = pairs.column.id, place = pairs.row.id;  // int64 [N], [B]
    const int64_t samples = sample.size(0), views = candidates == Candidates::other_view ? 1 : 2;
    if (views == 2) {
      const bool itself = candidates == Candidates::both_views_and_own;
      pairs.column.data = torch::cat({pairs.column.data, input.everyone(static_cast<int64_t>(from))});
      pairs.column.id = torch::cat({sample, itself ? sample + samples : sample});
    }
    Tensor positive = (input.z.at(from) * input.z.at(to)).sum(1) / temperature;  // [B]
    if (added.defined()) {
      const Tensor more = added.to(positive.options()) / temperature;
      pairs.column.offset = more.repeat({views});
      positive = positive + more.index_select(0, place);
    }
    if (left_out.defined()) pairs.left_out = of_own_anchors(pairs, place, samples);
    if (!label.defined()) return mean_lse(pairs, positive);

    pairs.row.label = label.index_select(0, place);
    pairs.column.label = label.repeat({views});
    const Tensor negatives = reduce(pairs, {lse(Per::row, Which::unlike)})[0];
    pairs.left_out = Tensor();  // a neighbour of the anchor's class is a positive
    const Tensor alike = torch::logaddexp(reduce(pairs, {lse(Per::row, Which::alike)})[0], positive);
    const Tensor all = foil::softplus(negatives - alike);
    if (several == Positives::log_of_sum) return all;
    return all + alike - mean_of_positives(pairs, positive * temperature) / temperature;
  }

 private:
  // `left_out` of the local anchors, in the columns of every view: int64 [2, E'].
  Tensor of_own_anchors(const contrast::Pairs& pairs, const Tensor& place, int64_t samples) const {
    const int64_t first = place.numel() == 0 ? 0 : place[0].item<int64_t>();
    const Tensor here = left_out[0].ge(first).logical_and(left_out[0].lt(first + place.numel()));
    const Tensor anchor = left_out[0].masked_select(here) - first, sample = left_out[1].masked_select(here);
    std::vector<Tensor> all;
    for (int64_t column = 0; column < pairs.column.data.size(0); column += samples)
      all.push_back(torch::stack({anchor, sample + column}));
    return torch::cat(all, 1);
  }

  // The mean cosine of each anchor with its positives, by the sums of rows of each class: [B]; `own`, with
  // its one positive, of a sample without a label.
  Tensor mean_of_positives(const contrast::Pairs& pairs, const Tensor& own) const {
    const Tensor each = pairs.column.label + 1, kind = pairs.row.label + 1;  // 0: no label
    const int64_t classes = each.max().item<int64_t>() + 1;
    const auto per_class = [&](const Tensor& rows) {
      return torch::zeros({classes, rows.size(1)}, rows.options())
          .index_add(0, each, rows)
          .index_select(0, kind);
    };
    const Tensor& anchor = pairs.row.data;
    Tensor sum = (per_class(pairs.column.data) * anchor).sum(1);
    Tensor count = per_class(torch::ones_like(pairs.column.data.slice(1, 0, 1))).squeeze(1);
    if (candidates == Candidates::both_views) {
      sum = sum - anchor.square().sum(1);
      count = count - 1;
    }
    return torch::where(kind == 0, own, sum / count.clamp_min(1));
  }
};

// l of the anchors of both views, where they meet all of both: [2, B]. On one rank the matrix of pairs is
// symmetric, and half of it is computed.
inline Tensor both_directions(const LossInput& input, double temperature) {
  const Tensor positive = (input.z.at(0) * input.z.at(1)).sum(1) / temperature;  // [B]
  return contrast::mean_lse(contrast::among(input, 1 / temperature), positive.repeat({2}))
      .view({2, positive.size(0)});
}

}  // namespace foil
