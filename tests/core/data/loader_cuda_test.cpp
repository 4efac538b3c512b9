// SPDX-License-Identifier: BSD-3-Clause
// The loader on a CUDA device: the same batches as on the CPU, from the set that lives there and from one
// that is read ahead.
#include "data/loader.h"
#include "data/synthetic.h"
#include "data/uniform.h"

#include <gtest/gtest.h>
#include <torch/types.h>

namespace foil {
namespace {

Synthetic::Options small() {
  Synthetic::Options options;
  options.samples = 53;
  options.size = 4;
  return options;
}

class FromFiles : public Synthetic {
 public:
  FromFiles() : Synthetic(small()) {}
  bool in_memory() const override { return false; }
};

std::shared_ptr<Sampler> sampler() {
  auto uniform = std::make_shared<Uniform>(Uniform::Options{});
  uniform->setup(5, 10, 53, Tensor());
  return uniform;
}

TEST(LoaderCuda, GivesWhatItGivesOnTheCpu) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device";
  for (const std::shared_ptr<Dataset>& data : {std::shared_ptr<Dataset>(std::make_shared<Synthetic>(small())),
                                               std::shared_ptr<Dataset>(std::make_shared<FromFiles>())}) {
    Loader here(data, sampler(), 1, 3, 2, 15), there(data, sampler(), 1, 3, 2, 15, at::Device(at::kCUDA, 0));
    for (int64_t step = 2; step < 15; ++step) {
      const Batch a = here.next(), b = there.next();
      EXPECT_TRUE(b.index.is_cpu() && b.index.equal(a.index));
      EXPECT_TRUE(b.label.is_cuda() && b.label.cpu().equal(a.label));
      EXPECT_TRUE(b.raw.at(0).data.is_cuda() && b.raw.at(0).data.cpu().equal(a.raw.at(0).data));
    }
  }
}

}  // namespace
}  // namespace foil
