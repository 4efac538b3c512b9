// SPDX-License-Identifier: BSD-3-Clause
// How long retrieval takes beside what LibTorch needs for the ten nearest alone (unit rows in fp32, matmul
// and topk, a chunk of queries at a time), in alternation, and how much memory it takes above its inputs. It
// measures one machine at one moment: the ratio is what counts.
#include "evaluate/retrieval.h"

#include "ranks/world.h"
#include "run/cost.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace foil {
namespace {

struct Settings {
  int64_t queries = 20000, candidates = 20000, dimensions = 512, relevant = 1, pairs = 3, threads = 0;
  int64_t chunk_mebibytes = 64;
  double noise = 4;  // of the length of a row
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double seconds_of(const std::function<void()>& work) {
  const double begin = now();
  work();
  return now() - begin;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double memory(const std::string& line) {
  return static_cast<double>(process_memory(line)) / (1 << 20);
}  // MiB

// The share of queries whose nearest candidate is of their group.
double torch_recall(const Tensor& queries, const Tensor& candidates, const Relevance& relevance,
                    int64_t chunk_bytes) {
  const auto unit = [](const Tensor& x) { return x / x.norm(2, {1}, true); };
  const Tensor rows = unit(candidates);
  const int64_t chunk = std::max<int64_t>(1, chunk_bytes / 4 / candidates.size(0));
  int64_t hits = 0;
  for (int64_t q = 0; q < queries.size(0); q += chunk) {
    const int64_t count = std::min(chunk, queries.size(0) - q);
    const Tensor nearest = std::get<1>(unit(queries.narrow(0, q, count)).mm(rows.t()).topk(10, 1));
    const Tensor group = relevance.candidate.index_select(0, nearest.select(1, 0));
    hits += (group == relevance.query.narrow(0, q, count)).sum().item<int64_t>();
  }
  return static_cast<double>(hits) / static_cast<double>(queries.size(0));
}

void measure(const Settings& settings) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(0);
  // A query is a candidate and noise; `relevant` candidates in a row are of one group.
  const Tensor candidates = torch::randn({settings.candidates, settings.dimensions});
  const Tensor row = torch::arange(settings.queries) % settings.candidates;
  Tensor queries = torch::randn({settings.queries, settings.dimensions}).mul_(settings.noise);
  queries.add_(candidates.index_select(0, row));
  const auto group = [&](const Tensor& of) { return torch::floor_divide(of, settings.relevant); };
  const Relevance relevance{group(row), group(torch::arange(settings.candidates)), {}};

  const int64_t chunk_bytes = settings.chunk_mebibytes << 20;
  std::vector<double> mine, torchs, ratios;
  double above = 0, recall = 0, plain_recall = 0;
  for (int64_t i = 0; i < settings.pairs; ++i) {
    const double before = memory("VmRSS");
    mine.push_back(seconds_of([&] {
      recall = retrieve(queries, candidates, relevance, *World::single(), chunk_bytes).recall_at(1);
    }));
    if (i == 0) above = memory("VmHWM") - before;
    torchs.push_back(
        seconds_of([&] { plain_recall = torch_recall(queries, candidates, relevance, chunk_bytes); }));
    ratios.push_back(torchs.back() / mine.back());
  }
  fmt::print(
      "{} x {}, D = {}, {} relevant, {} threads, chunks of {} MiB\n"
      "  foil: {:.2f} s, {:.0f} MiB above the inputs, R@1 {:.2f} %\n"
      "  matmul and topk(10): {:.2f} s, R@1 {:.2f} %\n"
      "  speed of foil over that of matmul and topk: {:.2f} (median of {})\n",
      settings.queries, settings.candidates, settings.dimensions, settings.relevant, at::get_num_threads(),
      settings.chunk_mebibytes, median(mine), above, 100 * recall, median(torchs), 100 * plain_recall,
      median(ratios), settings.pairs);
}

}  // namespace
}  // namespace foil

int main(int argc, char** argv) {
  foil::Settings settings;
  CLI::App app{"How long retrieval takes beside matmul and topk."};
  app.add_option("--queries", settings.queries, "rows that are searched for")->check(CLI::PositiveNumber);
  app.add_option("--candidates", settings.candidates, "rows among which, at least 10")
      ->check(CLI::Range(10, 1'000'000'000));
  app.add_option("--dimensions", settings.dimensions, "of a row")->check(CLI::PositiveNumber);
  app.add_option("--relevant", settings.relevant, "candidates a query")->check(CLI::PositiveNumber);
  app.add_option("--noise", settings.noise, "of a query, over the length of a row")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--chunk", settings.chunk_mebibytes, "MiB of both")->check(CLI::PositiveNumber);
  app.add_option("--pairs", settings.pairs, "repetitions in alternation; their medians are printed")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", settings.threads, "0 = as many as LibTorch takes")
      ->check(CLI::NonNegativeNumber);
  CLI11_PARSE(app, argc, argv);
  if (settings.threads > 0) at::set_num_threads(static_cast<int>(settings.threads));
  try {
    foil::measure(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
