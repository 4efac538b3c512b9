// SPDX-License-Identifier: BSD-3-Clause
// c10d::Reducer from C++, as DistributedDataParallel sets it up, with two differences: a parameter may always
// be unused, and buckets are never rebuilt.
#include "ranks/reducer.h"

#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <limits>
#include <set>
#include <sstream>

namespace foil {
namespace {

// The reducer warns once when every parameter was used; here that is the normal case.
class Quiet final : public c10::WarningHandler {
  void process(const c10::Warning&) override {}
};

// Names, shapes and types must be the same on every rank, or the buckets would mix different parameters.
void check_equal(const std::vector<std::pair<std::string, at::Tensor>>& parameters, World& world) {
  std::ostringstream mine;
  for (const auto& [name, parameter] : parameters)
    mine << name << " " << parameter.scalar_type() << parameter.sizes() << "; ";
  const std::string of_rank_0 = world.broadcast_text(mine.str());
  const std::string error =
      world.first_error(mine.str() == of_rank_0 ? "" : "the parameters are not those of rank 0.");
  if (!error.empty()) fail(Exit::failure, error);
}

}  // namespace

struct GradientReducer::Buckets {
  std::shared_ptr<c10d::Reducer> reducer;
  std::shared_ptr<c10d::Logger>
      logger;  // the reducer keeps a weak pointer and uses it when it looks for unused parameters
};

GradientReducer::GradientReducer(const std::vector<std::pair<std::string, at::Tensor>>& parameters,
                                 std::shared_ptr<World> world)
    : world_(std::move(world)) {
  if (world_->world_size() == 1) return;
  check_equal(parameters, *world_);
  std::vector<at::Tensor> tensors;
  std::unordered_map<size_t, std::string> names;
  std::set<const void*> seen;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.requires_grad() || !seen.insert(parameter.unsafeGetTensorImpl()).second) continue;
    names[tensors.size()] = name;
    tensors.push_back(parameter);
  }
  const auto group = world_->new_group("reducer");
  if (tensors.empty()) return;
  const std::vector<size_t> limits = {c10d::kDefaultFirstBucketBytes, c10d::kDefaultBucketBytesCap};
  auto [buckets, sizes] =
      c10d::compute_bucket_assignment_by_size(tensors, limits);  // one dtype and device per bucket
  std::reverse(buckets.begin(), buckets.end());
  constexpr bool find_unused = true, gradient_as_view = false, skip_unused = false, python = false;
  buckets_ = std::make_unique<Buckets>();
  buckets_->reducer = std::make_shared<c10d::Reducer>(
      tensors, buckets, group, std::vector<bool>(tensors.size(), false), c10d::kDefaultBucketBytesCap,
      find_unused, gradient_as_view, names, c10d::kDefaultFirstBucketBytes, skip_unused, python,
      std::vector<int64_t>());
  buckets_->logger = std::make_shared<c10d::Logger>(buckets_->reducer);
  buckets_->reducer->set_logger(buckets_->logger);
}

GradientReducer::~GradientReducer() = default;

void GradientReducer::prepare(at::TensorList outputs) {
  if (!buckets_) return;
  Quiet quiet;
  c10::WarningUtils::WarningHandlerGuard guard(&quiet);
  buckets_->reducer->prepare_for_backward(outputs.vec());
}

}  // namespace foil
