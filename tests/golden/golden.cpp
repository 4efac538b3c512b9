// SPDX-License-Identifier: BSD-3-Clause
// golden [--require A,B] [--tiles|--blocks] FOLDER...: compares every *.safetensors of the folders that has a
// mapping with what our losses give. A line a file: `ok|FAIL|unknown FILE_STEM value_error gradient_error
// state_error`; error = max |difference| / max(max |reference|, 1e-12). The last line counts. Exit 0 only
// when nothing fails, something was found, and every required loss has a mapping. Sums over pairs are made as
// anywhere, or by tiles of 3 x 5, or by blocks of 3 rows as on a GPU.
#include "tests/support/golden.h"

#include "contrast/plan.h"
#include "plugins/loader.h"
#include "run/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>

namespace {

using foil::Tensor;
using foil::golden::Tensors;
namespace fs = std::filesystem;

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
bool ends_with(const std::string& text, const std::string& tail) {
  return text.size() >= tail.size() && text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}
bool is_input(const std::string& name) {
  return name.rfind("in.", 0) == 0 || contains(name, ".in.") || ends_with(name, ".before");
}

struct Errors {
  double value = -1, gradient = -1, state = -1;  // -1: nothing of the kind in the file
  std::vector<std::string> problems;
};

// Infinite where shapes differ or where one has a nan or inf that the other has not.
double relative_error(const Tensor& ours, const Tensor& theirs) {
  const double infinite = std::numeric_limits<double>::infinity();
  if (!ours.defined() || ours.sizes() != theirs.sizes()) return infinite;
  if (theirs.numel() == 0) return 0;
  const Tensor a = ours.to(torch::kDouble), b = theirs.to(torch::kDouble);
  const Tensor finite = b.isfinite();
  const Tensor same = torch::where(finite, a.isfinite(), torch::where(b.isnan(), a.isnan(), a == b));
  if (!same.all().item<bool>()) return infinite;
  const Tensor difference = torch::where(finite, a - b, torch::zeros_like(a)).abs().max();
  const Tensor scale = torch::where(finite, b, torch::zeros_like(b)).abs().max();
  return difference.item<double>() / std::max(scale.item<double>(), 1e-12);
}

Errors compare(const Tensors& file, const Tensors& ours, const foil::golden::Mapping& mapping,
               const std::function<double(const std::string& name)>& tolerance) {
  Errors errors;
  for (const auto& [name, theirs] : file) {
    if (is_input(name) || mapping.left_out.count(name)) continue;
    const auto found = ours.find(name);
    const double error = relative_error(found == ours.end() ? Tensor() : found->second, theirs);
    double& kind = contains(name, "state.")  ? errors.state
                   : contains(name, "grad.") ? errors.gradient
                                             : errors.value;
    kind = std::max(kind, error);
    if (found == ours.end()) {
      errors.problems.push_back(name + " is not computed");
    } else if (!(error <= tolerance(name))) {
      errors.problems.push_back(fmt::format("{} differs by {:.3g}", name, error));
    }
  }
  return errors;
}

std::string printed(double error) { return error < 0 ? "-" : fmt::format("{:.2e}", error); }

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> folders;
  std::set<std::string> required;
  foil::contrast::Tiling tiling;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--require" && i + 1 < argc) {
      std::istringstream list(argv[++i]);
      for (std::string name; std::getline(list, name, ',');) required.insert(name);
    } else if (std::string(argv[i]) == "--tiles") {
      tiling = {.rows = 3, .columns = 5, .cached = false};
    } else if (std::string(argv[i]) == "--blocks") {
      tiling = {.rows = 3, .plain = true};
    } else {
      folders.push_back(argv[i]);
    }
  }
  if (folders.empty()) {
    fmt::print(stderr, "usage: golden [--require A,B] [--tiles|--blocks] FOLDER...\n");
    return 2;
  }
  const foil::contrast::TilingScope scope(tiling);
  int passed = 0, failed = 0, unknown = 0;
  try {
    for (const foil::Refused& refused :
         foil::load_plugins(foil::plugin_folders({}), foil::Registry::instance())) {
      fmt::print(stderr, "{}\n", refused.reason);
    }
    for (const std::string& name : required) {
      if (!foil::golden::mappings().count(name)) {
        fmt::print("FAIL {} is required and has no mapping\n", name);
        ++failed;
      }
    }
    std::vector<fs::path> files;
    for (const std::string& folder : folders) {
      for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
      }
    }
    std::sort(files.begin(), files.end());
    if (files.empty()) {
      fmt::print("FAIL no *.safetensors in the folders given\n");
      ++failed;
    }
    for (const fs::path& path : files) {
      const std::string stem = path.stem().string();
      const foil::TensorFile file = foil::load_tensors(path.string());
      const auto loss = file.metadata.find("loss");
      const auto mapping = loss == file.metadata.end() ? foil::golden::mappings().end()
                                                       : foil::golden::mappings().find(loss->second);
      if (mapping == foil::golden::mappings().end()) {
        fmt::print("unknown {} - - -\n", stem);
        ++unknown;
        continue;
      }
      foil::golden::Case test;
      test.params = nlohmann::json::parse(file.metadata.at("params"));
      for (const auto& [name, tensor] : file.tensors) {
        if (is_input(name)) test.inputs[name] = tensor;
      }
      Errors errors;
      const auto type = file.metadata.find("dtype");
      const bool single = type != file.metadata.end() && type->second == "float32";
      const auto tolerance = [&, &of = mapping->second.tolerance](const std::string& name) {
        return single ? 2e-5 : of ? of(name, test.params) : 1e-9;
      };
      try {
        errors = compare(file.tensors, mapping->second.run(test), mapping->second, tolerance);
      } catch (const std::exception& error) {
        errors.problems.push_back(error.what());
      }
      const bool ok = errors.problems.empty();
      ok ? ++passed : ++failed;
      fmt::print("{} {} {} {} {}\n", ok ? "ok" : "FAIL", stem, printed(errors.value),
                 printed(errors.gradient), printed(errors.state));
      for (const std::string& problem : errors.problems) fmt::print(stderr, "  {}: {}\n", stem, problem);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "golden: {}\n", error.what());
    ++failed;
  }
  fmt::print("{} passed, {} failed, {} unknown\n", passed, failed, unknown);
  return failed == 0 ? 0 : 1;
}
