// SPDX-License-Identifier: BSD-3-Clause
// What GRACE and its relatives share: a sample's row of one view tells its row of another view, or the rows
// of its class, from those of all others. Sizes: B samples of this rank, N of all, C candidates, b rows of a
// block.
#pragma once

#include "row_blocks.h"

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
    const Tensor& anchor = input.z.at(from);                        // [B, D]
    const Tensor there = input.everyone(static_cast<int64_t>(to));  // [N, D]
    Columns columns{there.size(0), candidates, label, {}};
    const int64_t begin = input.offset();
    columns.place = torch::arange(begin, begin + anchor.size(0), torch::device(anchor.device()));
    Tensor candidate = there;  // [C, D]
    if (candidates != Candidates::other_view)
      candidate = torch::cat({there, input.everyone(static_cast<int64_t>(from))});
    Scores scores{1 / temperature};
    Tensor positive = (anchor * input.z.at(to)).sum(1) / temperature;  // [B]
    if (added.defined()) {
      const Tensor more = added.to(anchor.options()) / temperature;
      scores.added = more.repeat({candidate.size(0) / columns.samples});
      positive = positive + more.index_select(0, columns.place);
    }
    scores.leave_out = [columns, begin, spared = Spared(left_out, columns.samples)](Tensor& s,
                                                                                    int64_t first) {
      columns.hide_positives(s, first);
      spared.hide(s, begin + first);
    };
    const Tensor negatives = row_logsumexp(anchor, candidate, scores);
    if (!label.defined()) return foil::softplus(negatives - positive);
    scores.leave_out = [columns](Tensor& s, int64_t first) { columns.hide_others(s, first); };
    const Tensor alike = row_logsumexp(anchor, candidate, scores), all = foil::softplus(negatives - alike);
    if (several == Positives::log_of_sum) return all;
    return all + alike - columns.mean_of_positives(anchor, candidate, positive * temperature) / temperature;
  }

 private:
  // Which of the C columns are positives of which anchors.
  struct Columns {
    int64_t samples;  // N
    Candidates candidates;
    Tensor label;  // [N]
    Tensor place;  // int64 [B]: of the local anchors among all samples
    static constexpr double lowest = -std::numeric_limits<double>::infinity();

    bool own_view() const { return candidates == Candidates::both_views; }
    Tensor places(int64_t first, int64_t count) const {
      return place.slice(0, first, first + count).unsqueeze(1);
    }
    Tensor alike(int64_t first, int64_t count, int64_t columns) const {  // bool [b, C]
      const Tensor own = places(first, count);
      Tensor same = same_class(label.index_select(0, own.squeeze(1)), label).repeat({1, columns / samples});
      return same.scatter_(1, own, true);
    }
    void hide_positives(Tensor& s, int64_t first) const {
      const Tensor own = places(first, s.size(0));
      if (label.defined())
        s.masked_fill_(alike(first, s.size(0), s.size(1)), lowest);
      else
        s.scatter_(1, own, lowest);
      if (own_view()) s.scatter_(1, own + samples, lowest);  // the anchor itself
    }
    void hide_others(Tensor& s, int64_t first) const {
      s.masked_fill_(alike(first, s.size(0), s.size(1)).logical_not_(), lowest);
      if (own_view()) s.scatter_(1, places(first, s.size(0)) + samples, lowest);
    }
    // Of cosines, by the sums of rows of each class; `own`: of a sample without a label its one positive.
    Tensor mean_of_positives(const Tensor& anchor, const Tensor& candidate, const Tensor& own) const {
      const Tensor kind = label + 1;  // 0: no label
      const Tensor each = kind.repeat({candidate.size(0) / samples});
      const int64_t classes = kind.max().item<int64_t>() + 1;
      const auto per_class = [&](const Tensor& rows) {
        return torch::zeros({classes, rows.size(1)}, rows.options())
            .index_add(0, each, rows)
            .index_select(0, kind.index_select(0, place));
      };
      Tensor sum = (per_class(candidate) * anchor).sum(1);
      Tensor count = per_class(torch::ones_like(candidate.slice(1, 0, 1))).squeeze(1);
      if (own_view()) {
        sum = sum - anchor.square().sum(1);
        count = count - 1;
      }
      return torch::where(label.index_select(0, place) < 0, own, sum / count.clamp_min(1));
    }
  };

  // Pairs of an anchor and a sample that do not meet, sorted by anchors.
  struct Spared {
    Tensor anchor, sample;
    int64_t samples;
    Spared(const Tensor& pairs, int64_t n) : samples(n) {
      if (!pairs.defined()) return;
      const Tensor order = pairs[0].argsort();
      anchor = pairs[0].index_select(0, order).contiguous();
      sample = pairs[1].index_select(0, order);
    }
    // s [b, C] of the anchors from `begin` on.
    void hide(Tensor& s, int64_t begin) const {
      if (!anchor.defined()) return;
      const Tensor ends = torch::tensor({begin, begin + s.size(0)}, anchor.options());
      const Tensor cut = torch::searchsorted(anchor, ends).to(torch::kCPU);
      const int64_t low = cut[0].item<int64_t>(), high = cut[1].item<int64_t>();
      const Tensor row = anchor.slice(0, low, high) - begin;
      for (int64_t view = 0; view < s.size(1) / samples; ++view)
        s.index_put_({row, sample.slice(0, low, high) + view * samples},
                     torch::full({}, -std::numeric_limits<double>::infinity(), s.options()));
    }
  };
};

}  // namespace foil
