// SPDX-License-Identifier: BSD-3-Clause
// env.json, and the memory that the process keeps.
#include "program/environment.h"

#include "run/cores.h"
#include "run/file.h"

#include <foil/commit.h>

#include <fmt/format.h>
#include <malloc.h>
#include <torch/types.h>
#include <torch/version.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#ifdef FOIL_CUDA
#include <ATen/cuda/CUDAContext.h>
#endif

namespace foil {
namespace {

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

std::string cuda_version() {
#ifdef FOIL_CUDA
  return fmt::format("CUDA {}.{}", CUDA_VERSION / 1000, CUDA_VERSION % 1000 / 10);
#else
  return "without CUDA";
#endif
}

}  // namespace

std::string version_text() {
  return fmt::format("foil {} (commit {}), LibTorch {}, {}", FOIL_VERSION, FOIL_COMMIT, TORCH_VERSION,
                     cuda_version());
}

nlohmann::json environment(const std::vector<std::string>& plugins) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  nlohmann::json env = {{"foil", FOIL_VERSION},
                        {"commit", FOIL_COMMIT},
                        {"libtorch", TORCH_VERSION},
                        {"cuda", cuda_version()},
                        {"host", host},
                        {"processor", processor()},
                        {"cores", std::thread::hardware_concurrency()},
                        {"usable_cores", usable_cores()},
                        {"memory_bytes", machine_memory()},
                        {"threads", at::get_num_threads()},
                        {"barriers", barrier_policy()},
                        {"deterministic", at::globalContext().deterministicAlgorithms()},
                        {"tf32", at::globalContext().allowTF32CuBLAS()},
                        {"cudnn_benchmark", at::globalContext().benchmarkCuDNN()},
                        {"gpus", nlohmann::json::array()},
                        {"plugins", nlohmann::json::object()}};
#ifdef FOIL_CUDA
  for (int i = 0; torch::cuda::is_available() && i < static_cast<int>(torch::cuda::device_count()); ++i) {
    env["gpus"].push_back(at::cuda::getDeviceProperties(i)->name);
  }
  for (const char* name : {"NCCL_ALGO", "NCCL_PROTO", "CUBLAS_WORKSPACE_CONFIG"}) {
    if (const char* value = std::getenv(name)) env[name] = value;
  }
#endif
  for (const std::string& file : plugins) {
    if (std::filesystem::is_regular_file(file))
      env["plugins"][std::filesystem::path(file).filename().string()] = checksum(read_file(file));
  }
  return env;
}

void keep_freed_memory() {
  ::mallopt(M_MMAP_MAX, 0);                                      // every block comes from the heap,
  ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());  // which is not cut off at its end,
  ::mallopt(M_TOP_PAD, 64 << 20);                                // and grows by 64 MiB
}

}  // namespace foil
