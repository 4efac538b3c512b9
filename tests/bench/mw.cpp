// SPDX-License-Identifier: BSD-3-Clause
// What a step of mw costs: time of forward and backward on random unit embeddings, and how far the memory of
// the process grows above them, for each number of queries in a process of its own.
#include "losses/mw.cpp"

#include "ranks/world.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

namespace {

double peak_mebibytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<Tensor> embeddings(int64_t n, int64_t d) {
  torch::manual_seed(1);
  const Tensor q = torch::randn({n, d});
  std::vector<Tensor> z{foil::unit(q), foil::unit(q + torch::randn({n, d}))};
  for (Tensor& view : z) view.requires_grad_();
  return z;
}

void step(MW& loss, const std::vector<Tensor>& z) {
  LossInput input;
  input.z = z;
  input.index = torch::arange(z[0].size(0));
  input.ranks = foil::World::single();
  loss.forward(input).backward();
}

void measure(int64_t n, int64_t d, const MWOptions& options) {
  MW loss(options);
  step(loss, embeddings(64, d));  // what the library itself takes
  const std::vector<Tensor> z = embeddings(n, d);
  const double memory = peak_mebibytes(), begin = seconds();
  step(loss, z);
  fmt::print("  N = {:6}: {:8.2f} s, {:8.1f} MiB\n", n, seconds() - begin, peak_mebibytes() - memory);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int64_t> sizes{2048, 4096, 8192};
  int64_t width = 64;
  MWOptions options;
  CLI::App app{"What a step of mw costs."};
  app.add_option("sizes", sizes, "numbers of queries");
  app.add_option("--width", width, "of the embeddings");
  app.add_option("--temperature", options.temperature, "of the logistic cost");
  bool hinge = false;
  app.add_flag("--squared-hinge", hinge, "instead of the logistic cost");
  CLI11_PARSE(app, argc, argv);
  if (hinge) options.surrogate = Surrogate::squared_hinge;
  fmt::print("mw, all pairs, D = {}: forward and backward, peak memory above the embeddings\n", width);
  std::fflush(stdout);
  for (const int64_t n : sizes) {
    const pid_t child = ::fork();
    if (child == 0) {
      measure(n, width, options);
      std::fflush(stdout);
      ::_exit(0);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) return 1;
  }
}
