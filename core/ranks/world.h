// SPDX-License-Identifier: BSD-3-Clause
// World: the ranks of one run, over c10d: NCCL on CUDA, Gloo on CPU. One rank alone has no process group and
// every collective is the identity. It also carries what a run needs to end well: agreement on errors, the
// late rank's name, one message for all.
#pragma once

#include "ranks/launch.h"

#include <foil/ranks.h>

#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace c10d {
class ProcessGroup;
class Store;
}  // namespace c10d

namespace foil {

struct GroupSettings;

// Every rank must make the same calls in the same order. A collective that fails or waits longer than the
// timeout throws an Error whose message names the rank that failed, ended or is late. A world must outlive
// the autograd graphs made with it. With several ranks SIGPIPE is ignored in the whole process.
class World final : public Ranks, public std::enable_shared_from_this<World> {
 public:
  static std::shared_ptr<World> single();
  // Meets the other ranks of the launch; throws an Error naming those that do not come within the timeout.
  // `device` is this rank's.
  static std::shared_ptr<World> make(const Launch& launch, at::Device device, std::chrono::seconds timeout);
  // Ranks that share a store already: the ranks of a test, as threads.
  static std::shared_ptr<World> make(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                     at::Device device,
                                     std::chrono::seconds timeout = std::chrono::seconds(60));
  ~World() override;

  int64_t rank() const override { return rank_; }
  int64_t world_size() const override { return size_; }

  // Differentiable, see Ranks. `gather` takes any dtype; rows must agree in shape. `sum` adds bf16 and fp16
  // in fp32, and counts bools.
  at::Tensor gather(const at::Tensor& local) override;
  at::Tensor sum(const at::Tensor& local) override;
  std::vector<int64_t> counts(int64_t local) override;

  // Without gradient.
  void broadcast(std::vector<at::Tensor>& tensors, int root = 0);  // writes into the tensors of the others
  std::string broadcast_text(const std::string& text, int root = 0);
  int64_t broadcast_int(int64_t value, int root = 0);
  void barrier();

  // Agreement at a step boundary: each rank passes its error, empty for none; every rank gets "rank R: text"
  // of the lowest rank that has one, or empty.
  std::string first_error(const std::string& mine);
  // For an exception that ends this rank: tells the other ranks, frees those that wait, and returns what all
  // ranks report: the first failure of any rank, "rank R: text", with its exit code (an error with the text
  // of first_error stays as it is). After it no collective works.
  Error explain(const std::exception& error);
  // After explain: whether this rank prints the message (one rank does, rank 0 when it can).
  bool speaks() const { return speaks_; }

  // The normal end: waits for every rank, then shuts the process groups down. Without it the destructor
  // aborts them.
  void close();

  // A further process group of these ranks, for a user whose collectives come in an order of their own. Every
  // rank must call it.
  c10::intrusive_ptr<c10d::ProcessGroup> new_group(const std::string& name);

 private:
  struct Links;
  static std::shared_ptr<World> make(const c10::intrusive_ptr<c10d::Store>& store,
                                     const GroupSettings& settings, bool hosts_store);
  friend struct GatherRows;
  friend struct SumOverRanks;
  World(int rank, int size);
  at::Tensor gather_rows(const at::Tensor& local, std::vector<int64_t>& rows);
  enum class Reduce { sum, min };
  at::Tensor reduce(const at::Tensor& local, Reduce operation, const char* what);
  at::Tensor gather_ints(const std::vector<int64_t>& mine);
  template <class Collective>
  void wait(const char* what, Collective&& start);

  const int rank_, size_;
  bool speaks_ = true;
  std::string agreed_;            // the last error of first_error
  std::unique_ptr<Links> links_;  // null with one rank and after close
};

}  // namespace foil
