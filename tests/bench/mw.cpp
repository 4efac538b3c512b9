// SPDX-License-Identifier: BSD-3-Clause
// What a step of mw costs: time of forward and backward on random unit embeddings, and how far the memory of
// the process grows above them, for each number of queries in a process of its own; beside it the tensor of
// all differences [N, N, N], which autograd keeps.
#include "losses/mw.cpp"

#include "ranks/world.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>

namespace {

double peak_mebibytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

std::vector<Tensor> embeddings(int64_t n, int64_t d) {
  torch::manual_seed(1);
  const Tensor q = torch::randn({n, d});
  std::vector<Tensor> z{foil::unit(q), foil::unit(q + torch::randn({n, d}))};
  for (Tensor& view : z) view.requires_grad_();
  return z;
}

using Step = std::function<void(const std::vector<Tensor>& z)>;

void step_of_mw(MWOptions options, const std::vector<Tensor>& z) {
  LossInput input;
  input.z = z;
  input.index = torch::arange(z[0].size(0));
  input.ranks = foil::World::single();
  MW(options).forward(input).backward();
}

// In the type of the embeddings; the positives among the negatives are left in.
void step_of_all_differences(const MWOptions& options, const std::vector<Tensor>& z) {
  const Tensor scores = torch::matmul(z[0], z[1].t());  // [N, N]
  options.cost(scores.unsqueeze(0) - scores.diag().view({-1, 1, 1})).mean().backward();
}

void measure(const char* what, const Step& step, int64_t n, int64_t d) {
  step(embeddings(64, d));  // what the library itself takes
  const std::vector<Tensor> z = embeddings(n, d);
  const double memory = peak_mebibytes(), begin = seconds(), worked = processor_seconds();
  step(z);
  fmt::print("  {:16} N = {:5}: {:7.2f} s, {:7.2f} s of processor, {:8.1f} MiB\n", what, n, seconds() - begin,
             processor_seconds() - worked, peak_mebibytes() - memory);
  std::fflush(stdout);
}

// In a process of its own, whose peak of memory is its own.
bool measure_apart(const char* what, const Step& step, int64_t n, int64_t d) {
  const pid_t child = ::fork();
  if (child == 0) {
    measure(what, step, n, d);
    ::_exit(0);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int64_t> sizes{512, 2048, 4096, 8192}, naive{512};
  int64_t width = 64;
  bool hinge = false;
  MWOptions options;
  CLI::App app{"What a step of mw costs."};
  app.add_option("sizes", sizes, "numbers of queries");
  app.add_option("--naive", naive, "numbers of queries of which all differences are held");
  app.add_option("--width", width, "of the embeddings");
  app.add_option("--temperature", options.temperature, "of the logistic cost");
  app.add_flag("--squared-hinge", hinge, "instead of the logistic cost");
  CLI11_PARSE(app, argc, argv);
  if (hinge) options.surrogate = Surrogate::squared_hinge;
  fmt::print("mw, all pairs, D = {}: forward and backward, peak memory above the embeddings\n", width);
  std::fflush(stdout);
  const auto with = [&](const auto& step) { return [&](const std::vector<Tensor>& z) { step(options, z); }; };
  bool measured = true;
  for (const int64_t n : naive)
    measured &= measure_apart("all differences", with(step_of_all_differences), n, width);
  for (const int64_t n : sizes) measured &= measure_apart("mw", with(step_of_mw), n, width);
  return measured ? 0 : 1;
}
