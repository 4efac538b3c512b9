// SPDX-License-Identifier: BSD-3-Clause
// Reading CIFAR records; what they look like is in cifar.h.
#include "data/cifar.h"

#include "data/file.h"
#include "run/file.h"

#include <torch/types.h>

#include <filesystem>

namespace foil {
namespace {

constexpr int64_t kPixels = 3 * 32 * 32;

// The records of these files, one after another: `label_bytes` labels, of which `label_at` is taken, then the
// pixels.
Table read_records(const std::string& folder, const std::vector<std::string>& names, int64_t label_bytes,
                   int64_t label_at, int64_t classes) {
  const int64_t record = label_bytes + kPixels;
  std::vector<Tensor> parts;
  for (const std::string& name : names) {
    const std::string path = (std::filesystem::path(folder) / name).string();
    const int64_t size = file_size(path);
    if (size == 0 || size % record != 0) {
      fail(Exit::data, path, ": ", size, " bytes, expected a multiple of ", record, " (", label_bytes,
           " label + ", kPixels, " pixels).");
    }
    require_memory(path, static_cast<double>(size));
    Tensor part = torch::empty({size / record, record}, torch::kByte);
    ByteReader file(path);
    if (file.read(part.mutable_data_ptr(), size) < size)
      fail(Exit::data, path, ": ends before its ", size, " bytes.");
    const Tensor label = part.select(1, label_at);
    if (const Tensor wrong = (label >= classes).nonzero(); wrong.numel() > 0) {
      const int64_t row = wrong[0].item<int64_t>();
      fail(Exit::data, path, ": label ", label[row].item<int64_t>(), " of record ", row, ", allowed: 0 to ",
           classes - 1, ".");
    }
    parts.push_back(std::move(part));
  }
  const Tensor all = torch::cat(parts);
  return table_of(all.narrow(1, label_bytes, kPixels).reshape({-1, 3, 32, 32}).contiguous(),
                  all.select(1, label_at).to(torch::kLong));
}

Contents read_cifar10(const Cifar10::Options& options) {
  const std::string folder =
      find_folder({"cifar10", "cifar-10-batches-bin", "data_batch_1.bin", "",
                   "unpack cifar-10-binary.tar.gz (the binary version) of the CIFAR page"},
                  options.path);
  return {read_records(folder,
                       {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                        "data_batch_5.bin"},
                       1, 0, 10),
          read_records(folder, {"test_batch.bin"}, 1, 0, 10),
          class_names(folder, "batches.meta.txt", 10),
          {},
          {}};
}

Contents read_cifar100(const Cifar100::Options& options) {
  const std::string folder =
      find_folder({"cifar100", "cifar-100-binary", "train.bin", "",
                   "unpack cifar-100-binary.tar.gz (the binary version) of the CIFAR page"},
                  options.path);
  const int64_t label_at = options.coarse ? 0 : 1, classes = options.coarse ? 20 : 100;
  return {read_records(folder, {"train.bin"}, 2, label_at, classes),
          read_records(folder, {"test.bin"}, 2, label_at, classes),
          class_names(folder, options.coarse ? "coarse_label_names.txt" : "fine_label_names.txt", classes),
          {},
          {}};
}

}  // namespace

Cifar10::Cifar10(const Options& options) : MemoryDataset(read_cifar10(options)) {}
Cifar100::Cifar100(const Options& options) : MemoryDataset(read_cifar100(options)) {}

}  // namespace foil
