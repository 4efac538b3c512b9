// SPDX-License-Identifier: BSD-3-Clause
// GradientReducer: averages gradients over ranks while backward runs, in buckets (DistributedDataParallel's
// c10d::Reducer).
#pragma once

#include "ranks/world.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace foil {

// With one rank nothing happens. Parameters may be unused on some ranks (they count as zero there) or on all
// (their gradient stays undefined). Buckets are fixed in reverse order of `parameters`, so that sums have the
// same order after a resume.
class GradientReducer {
 public:
  // Every rank passes the same list; throws an Error naming the rank whose list differs. A parameter listed
  // twice counts once.
  GradientReducer(const std::vector<std::pair<std::string, at::Tensor>>& parameters,
                  std::shared_ptr<World> world);
  ~GradientReducer();
  // Between forward and the step's last backward from `outputs`. After it the gradients of all ranks are the
  // average, with what backward passes before it added up in them.
  void prepare(at::TensorList outputs);

 private:
  struct Buckets;
  std::shared_ptr<World> world_;
  std::unique_ptr<Buckets> buckets_;
};

}  // namespace foil
