// SPDX-License-Identifier: BSD-3-Clause
// What a loss over all pairs costs: forward and backward beside the three bare matrix products of its
// similarities (S = X Y', dX = S Y, dY = S' X) in alternation, its peak memory in a process of its own, and
// how far its gradients are from those of the plain formula in fp64. N is the number of rows that are
// compared: samples of infonce, clip, siglip and mw; twice the samples of ntxent, supcon and dcl, which stack
// two views. With one thread times are the processor's, with more the clock's.
#include "contrast_cases.h"
#include "run/cost.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <malloc.h>
#include <nlohmann/json.hpp>
#include <torch/autograd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>

namespace foil::bench {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double seconds_now(int threads) {
  if (threads > 1)
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double seconds_of(const std::function<void()>& work, int64_t times, int threads) {
  const double begin = seconds_now(threads);
  for (int64_t i = 0; i < times; ++i) work();
  return (seconds_now(threads) - begin) / static_cast<double>(times);
}

double memory(const std::string& line) { return static_cast<double>(process_memory(line)); }

// The three products of an N x N similarity, each in the operand order that is fastest here, all memory taken
// beforehand. A similarity of more than 1 GiB is made in panels of rows.
class Products {
 public:
  Products(int64_t n, int64_t d, int threads)
      : n_(n), panel_(std::max<int64_t>(1, std::min(n, (int64_t{1} << 28) / n))), threads_(threads) {
    const auto random = [](int64_t r, int64_t c) { return torch::randn({r, c}); };
    x_ = random(n, d), y_ = random(n, d), x_turned_ = random(d, n), y_turned_ = random(d, n);
    dx_ = torch::zeros({n * d}), dy_ = torch::zeros({n * d});
    s_ = torch::randn({panel_ * n});
    choose();
  }
  void run() const {
    for (int64_t first = 0; first < n_; first += panel_)
      for (size_t p = 0; p < 3; ++p) best_[p](first, std::min(panel_, n_ - first));
  }

 private:
  using Product = std::function<void(int64_t first, int64_t rows)>;

  // The similarity of a panel, row by row or column by column, in the same memory.
  Tensor s(int64_t rows) const { return s_.slice(0, 0, rows * n_).view({rows, n_}); }
  Tensor s_turned(int64_t rows) const { return s_.slice(0, 0, rows * n_).view({n_, rows}).t(); }
  Tensor out(const Tensor& flat, bool turned) const {
    const int64_t d = flat.size(0) / n_;
    return turned ? flat.view({d, n_}).t() : flat.view({n_, d});
  }

  void choose() {
    std::array<std::vector<Product>, 3> orders;
    for (const bool turned : {false, true}) {
      const auto s_of = [=, this](int64_t rows) { return turned ? s_turned(rows) : s(rows); };
      for (const bool packed : {false, true}) {
        const Tensor x = packed ? x_turned_.t() : x_, y = packed ? y_turned_.t() : y_;
        orders[0].push_back([=](int64_t first, int64_t rows) {
          Tensor into = s_of(rows);
          at::mm_out(into, x.narrow(0, first, rows), y.t());
        });
        for (const bool columns : {false, true}) {
          const Tensor dx = out(dx_, columns), dy = out(dy_, columns);
          orders[1].push_back([=](int64_t first, int64_t rows) {
            Tensor into = dx.narrow(0, first, rows);
            at::mm_out(into, s_of(rows), y);
          });
          orders[2].push_back([=](int64_t first, int64_t rows) {
            Tensor into = dy;
            at::addmm_out(into, into, s_of(rows).t(), x.narrow(0, first, rows), first == 0 ? 0 : 1);
          });
        }
      }
    }
    for (size_t p = 0; p < 3; ++p) best_[p] = fastest(orders[p]);
  }
  Product fastest(const std::vector<Product>& orders) const {
    std::vector<double> best(orders.size(), 1e300);
    for (int round = 0; round < 4; ++round) {  // the first warms
      for (size_t i = 0; i < orders.size(); ++i) {
        const double t = seconds_of([&] { orders[i](0, panel_); }, 1, threads_);
        if (round > 0) best[i] = std::min(best[i], t);
      }
    }
    return orders[static_cast<size_t>(std::min_element(best.begin(), best.end()) - best.begin())];
  }

  int64_t n_, panel_;
  int threads_;
  Tensor x_, y_, x_turned_, y_turned_;  // [N, D], [D, N]
  Tensor dx_, dy_, s_;                  // [N D], [panel N]
  std::array<Product, 3> best_;
};

struct Settings {
  Case what;
  int64_t d = 128, pairs = 5;
  int threads = 1;
  bool plain = false, time_only = false, json = false, child = false;

  Implementation implementation() const {
    return plain ? plain_implementation(what) : foil_implementation(what);
  }
};

void step(const Case& c, const Implementation& implementation, const std::vector<Tensor>& z) {
  for (const Tensor& view : z) view.mutable_grad().reset();
  implementation(c, z).backward();
}

std::vector<Tensor> leaves(const Case& c, int64_t d) {
  std::vector<Tensor> z = embeddings(c, d);
  for (Tensor& view : z) view.requires_grad_();
  return z;
}

struct Times {
  double ratio = 0, seconds = 0, gemm_seconds = 0;
};

Times times(const Settings& settings, const Implementation& implementation) {
  const Products products(settings.what.n, settings.d, settings.threads);
  const std::vector<Tensor> z = leaves(settings.what, settings.d);
  const auto mine = [&] { step(settings.what, implementation, z); };
  const auto bare = [&] {
    const torch::NoGradGuard no_grad;
    products.run();
  };
  mine();
  bare();
  const double once = std::max(1e-6, seconds_of(bare, 1, settings.threads));
  const int64_t repeats = std::clamp<int64_t>(static_cast<int64_t>(0.2 / once), 1, 1000);
  std::vector<double> ratios, seconds, gemm;
  for (int64_t pair = 0; pair < settings.pairs; ++pair) {
    seconds.push_back(seconds_of(mine, repeats, settings.threads));
    gemm.push_back(seconds_of(bare, repeats, settings.threads));
    ratios.push_back(seconds.back() / gemm.back());
  }
  return {median(ratios), median(seconds), median(gemm)};
}

// |g - g64| / |g64| over all embeddings, g64 of the plain formula in fp64 on the same numbers.
double gradient_error(const Settings& settings, const Implementation& implementation) {
  const std::vector<Tensor> z = leaves(settings.what, settings.d);
  step(settings.what, implementation, z);
  std::vector<Tensor> wide;
  for (const Tensor& view : z) wide.push_back(view.detach().to(torch::kDouble).requires_grad_());
  step(settings.what, plain_implementation(settings.what), wide);
  double far = 0, all = 0;
  for (size_t v = 0; v < z.size(); ++v) {
    far += (z[v].grad().to(torch::kDouble) - wide[v].grad()).square().sum().item<double>();
    all += wide[v].grad().square().sum().item<double>();
  }
  return std::sqrt(far / all);
}

// How far the memory of this process grows in one step: above its inputs and outputs, and above what it had
// before there were any.
struct Peak {
  double above_inputs_and_outputs = 0, in_all = 0;
};

Peak measure_peak(const Settings& settings) {
  const Implementation implementation = settings.implementation();
  Case small = settings.what;
  small.n = 64;
  step(small, implementation, leaves(small, settings.d));  // what the library itself takes
  ::malloc_trim(0);
  const double before = memory("VmRSS");
  const std::vector<Tensor> z = leaves(settings.what, settings.d);
  ::malloc_trim(0);
  double outputs = 0;
  for (const Tensor& view : z) outputs += static_cast<double>(view.nbytes());
  std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM begins anew
  const double with_inputs = memory("VmRSS");
  step(settings.what, implementation, z);
  const double highest = memory("VmHWM");
  return {highest - with_inputs - outputs, highest - before};
}

// In a new process, whose peak is its own.
Peak peak_of_child(int argc, char** argv) {
  std::string command = std::filesystem::read_symlink("/proc/self/exe").string();
  for (int i = 1; i < argc; ++i) command += fmt::format(" '{}'", argv[i]);
  const std::unique_ptr<FILE, int (*)(FILE*)> child(::popen((command + " --child").c_str(), "r"), ::pclose);
  Peak peak;
  if (!child || std::fscanf(child.get(), "%lf %lf", &peak.above_inputs_and_outputs, &peak.in_all) != 2)
    fail(Exit::failure, "the process that measures memory gave no result: ", command, " --child");
  return peak;
}

nlohmann::json measure(const Settings& settings, int argc, char** argv) {
  const Case& c = settings.what;
  const Implementation implementation = settings.implementation();
  const Times t = times(settings, implementation);
  const double n = static_cast<double>(c.n), flop = 6 * n * n * static_cast<double>(settings.d);
  nlohmann::json result{{"loss", c.loss},
                        {"implementation", settings.plain ? "plain" : "foil"},
                        {"n", c.n},
                        {"d", settings.d},
                        {"threads", settings.threads},
                        {"temperature", c.temperature},
                        {"pairs", settings.pairs},
                        {"ratio", t.ratio},
                        {"seconds", t.seconds},
                        {"gemm_seconds", t.gemm_seconds},
                        {"gflops", 1e-9 * flop / t.seconds}};
  if (settings.time_only) return result;
  const Peak peak = peak_of_child(argc, argv);
  result["peak_bytes"] = peak.above_inputs_and_outputs;
  result["peak_bytes_with_inputs"] = peak.in_all;
  result["gradient_error"] = nullptr;  // of more pairs the plain formula does not fit everywhere
  if (c.n <= 8192) result["gradient_error"] = gradient_error(settings, implementation);
  return result;
}

void print(const nlohmann::json& r) {
  fmt::print("{} ({}), N = {}, D = {}, {} threads: medians of {} alternations\n",
             r["loss"].get<std::string>(), r["implementation"].get<std::string>(), r["n"].get<int64_t>(),
             r["d"].get<int64_t>(), r["threads"].get<int>(), r["pairs"].get<int64_t>());
  fmt::print("  forward and backward {:.4f} s, {:.1f} GFLOP/s; three products {:.4f} s; ratio {:.3f}\n",
             r["seconds"].get<double>(), r["gflops"].get<double>(), r["gemm_seconds"].get<double>(),
             r["ratio"].get<double>());
  if (!r.contains("peak_bytes")) return;
  fmt::print("  peak memory {:.1f} MiB above inputs and outputs, {:.1f} MiB with them\n",
             r["peak_bytes"].get<double>() / 1048576, r["peak_bytes_with_inputs"].get<double>() / 1048576);
  if (!r["gradient_error"].is_null())
    fmt::print("  gradients against fp64: {:.2e}\n", r["gradient_error"].get<double>());
}

}  // namespace
}  // namespace foil::bench

int main(int argc, char** argv) {
  foil::bench::Settings settings;
  foil::bench::Case& what = settings.what;
  CLI::App app{"What a loss over all pairs costs beside the bare matrix products."};
  app.add_option("--loss", what.loss, "which")->check(CLI::IsMember(foil::bench::kLosses));
  app.add_option("--n", what.n, "rows compared, even")->check(CLI::Range(4, 1 << 24));
  app.add_option("--d", settings.d, "width of the embeddings")->check(CLI::PositiveNumber);
  app.add_option("--threads", settings.threads, "of LibTorch")->check(CLI::PositiveNumber);
  app.add_option("--temperature", what.temperature, "divides the similarities")->check(CLI::PositiveNumber);
  app.add_flag("--trained", what.trained, "pairs that are alike, in place of independent ones");
  app.add_option("--pairs", settings.pairs, "alternations; their medians are printed")
      ->check(CLI::PositiveNumber);
  app.add_flag("--plain", settings.plain, "the plain formula in place of foil's loss");
  app.add_flag("--time-only", settings.time_only, "without memory and gradients");
  app.add_flag("--json", settings.json, "the last line, alone, is JSON");
  app.add_flag("--child", settings.child)->group("");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(settings.threads);
  torch::manual_seed(0);
  try {
    what.n += what.n % 2;
    if (settings.child) {
      const auto peak = foil::bench::measure_peak(settings);
      std::printf("%.0f %.0f\n", peak.above_inputs_and_outputs, peak.in_all);
      return 0;
    }
    const nlohmann::json result = foil::bench::measure(settings, argc, argv);
    if (settings.json) {
      std::printf("%s\n", result.dump().c_str());
    } else {
      foil::bench::print(result);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
