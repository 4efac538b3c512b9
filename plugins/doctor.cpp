// SPDX-License-Identifier: BSD-3-Clause
// foil doctor: versions, devices and folders, and what is wrong with them.
#include "commands.h"
#include "data/builtin.h"
#include "program/environment.h"
#include "scan.h"

#include <dlfcn.h>
#include <torch/cuda.h>

#include <cstdio>
#include <filesystem>

namespace foil {
namespace {

namespace fs = std::filesystem;

void line(const char* what, const std::string& text) { std::printf("%-12s %s\n", what, text.c_str()); }

std::string library_of(const void* symbol) {
  Dl_info info{};
  return ::dladdr(symbol, &info) && info.dli_fname ? fs::weakly_canonical(info.dli_fname).string()
                                                   : "unknown";
}

// The Python whose package LibTorch is, .../bin/python beside
// .../lib/python3.11/site-packages/torch/lib/libtorch_cpu.so.
std::string python_of(const fs::path& libtorch) {
  fs::path folder = libtorch;
  for (int up = 0; up < 6; ++up) folder = folder.parent_path();
  const fs::path python = folder / "bin" / "python";
  return fs::exists(python) ? python.string() : "none that has this LibTorch";
}

std::string listed(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value ? value : "not set";
}

// What is wrong, a line each.
std::vector<std::string> problems(const PluginSearch& search, const Registry& registry,
                                  const std::vector<Refused>& refused) {
  std::vector<std::string> found;
  for (const Refused& one : refused) found.push_back(one.reason);
  for (const std::string& folder : search.folders) {
    if (!fs::is_directory(folder))
      found.push_back(folder + ": no such folder of plugins (FOIL_PLUGIN_PATH).");
  }
  if (registry.names("loss").empty())
    found.push_back("no plugin registers a loss. Build foil_plugins, or install foil again.");
  if (const char* data = std::getenv("FOIL_DATA"); data && *data && !fs::is_directory(data))
    found.push_back(std::string(data) + ": no such folder of data sets (FOIL_DATA).");
  if (fs::exists("/dev/nvidiactl") && !torch::cuda::is_available())
    found.push_back(
        "an NVIDIA device is there but CUDA is not available: this foil was built without CUDA, or the "
        "driver is too old.");
  return found;
}

}  // namespace

int plugins_command(const PluginSearch& search) {
  Registry registry;
  registry.enter("built in", register_builtin_data);
  const std::vector<Refused> refused = scan_plugins(search.folders, registry, search.trust);
  for (const Component* c : registry.all())
    std::printf("%-14s %-22s %s\n", c->kind.c_str(), c->name.c_str(), c->origin.c_str());
  for (const Refused& one : refused) std::printf("refused: %s\n", one.reason.c_str());
  for (const std::string& folder : search.folders) std::printf("looked in %s\n", folder.c_str());
  return 0;
}

int doctor_command(const PluginSearch& search) {
  Registry registry;
  registry.enter("built in", register_builtin_data);
  const std::vector<Refused> refused = scan_plugins(search.folders, registry, search.trust);
  const nlohmann::json env = environment({});
  line("version", version_text());
  line("built for", program_abi());
  line("program", fs::read_symlink("/proc/self/exe").string());
  line("libfoil.so", library_of(reinterpret_cast<const void*>(&library_folder)));
  line("LibTorch", library_of(reinterpret_cast<const void*>(&at::get_num_threads)));
  line("Python", python_of(library_of(reinterpret_cast<const void*>(&at::get_num_threads))));
  line("processor", env["processor"].get<std::string>() + ", " + env["cores"].dump() + " cores, " +
                        std::to_string(env["memory_bytes"].get<int64_t>() >> 30) + " GiB");
  line("threads", env["usable_cores"].dump() +
                      " by default; waiting for each other: " + env["barriers"].get<std::string>());
  for (const auto& gpu : env["gpus"]) line("GPU", gpu.get<std::string>());
  if (env["gpus"].empty()) line("GPU", "none that CUDA can use");
  line("FOIL_DATA", listed("FOIL_DATA"));
  for (const std::string& folder : search.folders) line("plugins", folder);
  for (const char* kind : {"loss", "encoder", "augmentation", "data set", "sampler"}) {
    std::string names;
    for (const std::string& name : registry.names(kind)) names += (names.empty() ? "" : ", ") + name;
    line(kind, names.empty() ? "none" : names);
  }
  const std::vector<std::string> found = problems(search, registry, refused);
  for (const std::string& problem : found) line("PROBLEM", problem);
  if (found.empty()) std::printf("no problem was found\n");
  return found.empty() ? 0 : static_cast<int>(Exit::failure);
}

}  // namespace foil
