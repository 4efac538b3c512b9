// SPDX-License-Identifier: BSD-3-Clause
// Before every collective, forward and backward, the ranks meet in memory and compare what each is about to
// call. After a disagreement, and once a rank has ended, nobody enters a collective any more: each rank
// throws, and none waits.
#include "checked_ranks.h"

#include "ranks/in_process.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <sstream>

namespace foil::conformance {
namespace {

using at::Tensor;

constexpr std::chrono::seconds kPatience(100);  // for a rank that computes without end

constexpr const char* kRule = "; every rank must make the same calls in the same order, also with no rows";

// What a rank that was not at fault throws when another one is.
struct Freed : std::exception {
  const char* what() const noexcept override { return "another rank ended the collectives"; }
};

// Where the ranks meet: each says what it is about to call, and goes on when all have said the same.
class Meeting {
 public:
  explicit Meeting(size_t ranks) : calls_(ranks), number_(ranks), ended_(ranks) {}

  void call(size_t rank, const std::string& what) {
    std::unique_lock lock(mutex_);
    ++number_[rank];
    calls_[rank] = what;
    const int64_t round = round_;
    if (++come_ == calls_.size()) {
      compare();
      come_ = 0;
      ++round_;
      changed_.notify_all();
    } else {
      notice_the_ended();
      changed_.wait_for(lock, kPatience, [&] { return round_ != round || !mismatch_.empty(); });
      if (round_ == round && mismatch_.empty())
        say(text(rank) + "; another rank has not come there within " + std::to_string(kPatience.count()) +
            " s.");
    }
    if (!mismatch_.empty()) throw Freed();
  }

  // This rank calls nothing any more, because it is done, or because of what it threw.
  void end(size_t rank, bool thrown) {
    std::lock_guard lock(mutex_);
    ended_[rank] = thrown ? "has thrown" : "is done";
    notice_the_ended();
  }

  const std::string& mismatch() const { return mismatch_; }

 private:
  std::string text(size_t rank) const { return "rank " + std::to_string(rank) + " " + calls_[rank]; }
  void say(const std::string& what) {
    if (mismatch_.empty()) mismatch_ = what;
    changed_.notify_all();
  }
  void compare() {
    for (size_t r = 1; r < calls_.size(); ++r) {
      if (calls_[r] != calls_[0]) return say(text(0) + ", " + text(r) + kRule);
    }
  }
  // A rank waits, and another one never comes.
  void notice_the_ended() {
    for (size_t r = 0; r < ended_.size(); ++r) {
      if (!ended_[r]) continue;
      for (size_t waiting = 0; waiting < calls_.size(); ++waiting) {
        if (ended_[waiting] || number_[waiting] <= number_[r]) continue;
        return say(text(waiting) + ", rank " + std::to_string(r) + " " + *ended_[r] + kRule);
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> calls_;
  std::vector<int64_t> number_;  // collectives that a rank has called
  std::vector<std::optional<std::string>> ended_;
  size_t come_ = 0;
  int64_t round_ = 0;
  std::string mismatch_;
};

// "sum of float [3]": what must agree. Rows of a gather may differ in number.
std::string described(const char* what, const Tensor& x, bool rows) {
  std::ostringstream text;
  text << what << " of " << x.dtype().name() << " [";
  for (int64_t d = 0; d < x.dim(); ++d) {
    text << (d ? ", " : "");
    if (rows && d == 0)
      text << "rows";
    else
      text << x.size(d);
  }
  text << "]";
  return text.str();
}

class CheckedRanks final : public Ranks {
 public:
  CheckedRanks(std::shared_ptr<World> world, Meeting& meeting)
      : world_(std::move(world)), meeting_(meeting) {}

  int64_t rank() const override { return world_->rank(); }
  int64_t world_size() const override { return world_->world_size(); }
  Tensor gather(const Tensor& local) override {
    call(described("gather", local, true));
    return in_backward(world_->gather(local), described("the gradient of gather", local, true));
  }
  Tensor sum(const Tensor& local) override {
    call(described("sum", local, false));
    return in_backward(world_->sum(local), described("the gradient of sum", local, false));
  }
  std::vector<int64_t> counts(int64_t local) override {
    call("counts");
    return world_->counts(local);
  }
  void call(const std::string& what) { meeting_.call(static_cast<size_t>(rank()), "calls " + what); }

 private:
  // The identity, whose gradient says `what` first.
  struct Backward : torch::autograd::Function<Backward> {
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, int64_t ranks,
                          const std::string& what) {
      context->saved_data["ranks"] = ranks;
      context->saved_data["what"] = what;
      return x.clone();
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list gradient) {
      reinterpret_cast<CheckedRanks*>(context->saved_data["ranks"].toInt())
          ->call(context->saved_data["what"].toStringRef());
      return {gradient[0], Tensor(), Tensor()};
    }
  };
  Tensor in_backward(const Tensor& x, const std::string& what) {
    return x.requires_grad() ? Backward::apply(x, reinterpret_cast<int64_t>(this), what) : x;
  }

  std::shared_ptr<World> world_;
  Meeting& meeting_;
};

}  // namespace

std::string checked_ranks(int world_size, const RankBody& body) {
  Meeting meeting(static_cast<size_t>(world_size));
  std::vector<std::string> errors(static_cast<size_t>(world_size));
  in_process_ranks(
      world_size,
      [&](World& world) {
        const size_t rank = static_cast<size_t>(world.rank());
        const auto ranks = std::make_shared<CheckedRanks>(world.shared_from_this(), meeting);
        bool thrown = false;
        try {
          body(ranks, [&] { meeting.call(rank, "ends its step"); });
        } catch (const Freed&) {
          thrown = true;
        } catch (const std::exception& error) {
          const std::string text = error.what();
          errors[rank] = "rank " + std::to_string(rank) + ": " + text.substr(0, text.find('\n'));
          thrown = true;
        }
        meeting.end(rank, thrown);
      },
      3 * kPatience);
  for (const std::string& error : errors) {
    if (!error.empty()) return error;
  }
  return meeting.mismatch();
}

}  // namespace foil::conformance
