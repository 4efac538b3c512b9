// SPDX-License-Identifier: BSD-3-Clause
// By what a data set is known again, and what a run folder makes of it. Image folders are in
// image_folder_test.
#include "data/cifar.h"
#include "data/idx.h"
#include "data/record.h"
#include "data/selection.h"
#include "data/stl10.h"
#include "data/synthetic.h"
#include "files.h"
#include "run/file.h"

#include <torch/types.h>

#include <set>

namespace foil {
namespace {

using test::Bytes;
using test::Folder;
using test::gzip;
using test::idx;
using test::noise;

std::string idx_identity(const Folder& folder) {
  Idx::Options options;
  options.path = folder.path();
  return Idx(options).identity();
}

void write_idx(const Folder& folder, const Bytes& images, const Bytes& labels, bool zipped) {
  const auto write = [&](const std::string& name, const Bytes& bytes) {
    folder.write(zipped ? name + ".gz" : name, zipped ? gzip(bytes) : bytes);
  };
  write("train-images-idx3-ubyte", images);
  write("train-labels-idx1-ubyte", labels);
  write("t10k-images-idx3-ubyte", idx({1, 2, 3}, noise(6)));
  write("t10k-labels-idx1-ubyte", idx({1}, {0}));
}

TEST(Identity, OfIdxFilesIsThatOfTheirContents) {
  const Bytes pixels = noise(24);
  Bytes changed = pixels;
  changed[23] ^= 1;
  std::set<std::string> all;
  for (const bool zipped : {false, true}) {
    const Folder folder;
    write_idx(folder, idx({4, 2, 3}, pixels), idx({4}, {0, 1, 1, 0}), zipped);
    all.insert(idx_identity(folder));
  }
  EXPECT_EQ(all.size(), 1u) << "packed or not";
  const std::vector<std::pair<Bytes, Bytes>> others = {{idx({4, 2, 3}, changed), idx({4}, {0, 1, 1, 0})},
                                                       {idx({4, 2, 3}, pixels), idx({4}, {0, 1, 0, 1})},
                                                       {idx({4, 3, 2}, pixels), idx({4}, {0, 1, 1, 0})}};
  for (const auto& [images, labels] : others) {
    const Folder folder;
    write_idx(folder, images, labels, false);
    if (images[7] == 4 && images[11] == 3) folder.write("t10k-images-idx3-ubyte", idx({1, 3, 2}, noise(6)));
    EXPECT_TRUE(all.insert(idx_identity(folder)).second);
  }
}

TEST(Identity, OfCifarAndStlFilesIsThatOfSamplesAndLabels) {
  const Folder folder;
  const auto write = [&](uint8_t coarse, uint8_t fine, uint32_t seed) {
    Bytes record = noise(2 + 3072, seed);
    record[0] = coarse;
    record[1] = fine;
    folder.write("train.bin", record);
    folder.write("test.bin", record);
    return Cifar100(Cifar100::Options{folder.path(), false}).identity();
  };
  std::set<std::string> all{write(1, 2, 1), write(1, 3, 1), write(1, 2, 9)};
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(write(5, 2, 1), write(1, 2, 1)) << "the other label is not read";
  EXPECT_TRUE(all.insert(Cifar100(Cifar100::Options{folder.path(), true}).identity()).second);

  const Folder stl;
  for (const char* split : {"train", "test"}) {
    stl.write(std::string(split) + "_X.bin", Bytes(27648, 1));
    stl.write(std::string(split) + "_y.bin", {1});
  }
  stl.write("unlabeled_X.bin", Bytes(27648, 1));
  EXPECT_NE(Stl10(Stl10::Options{stl.path(), false}).identity(),
            Stl10(Stl10::Options{stl.path(), true}).identity());
}

TEST(Identity, OfSyntheticDataIsThatOfItsOptions) {
  Synthetic::Options options;
  options.samples = 4;
  options.test_samples = 2;
  options.size = 3;
  std::set<std::string> all;
  for (int64_t Synthetic::Options::*option :
       {&Synthetic::Options::seed, &Synthetic::Options::samples, &Synthetic::Options::classes,
        &Synthetic::Options::features, &Synthetic::Options::size}) {
    Synthetic::Options other = options;
    EXPECT_EQ(Synthetic(other).identity(), Synthetic(options).identity());
    other.*option += 1;
    EXPECT_TRUE(all.insert(Synthetic(other).identity()).second);
  }
}

TEST(Identity, OfSelectedRowsIsThatOfTheWholeAndOfTheRows) {
  Synthetic::Options options;
  options.samples = 5;
  const auto whole = std::make_shared<Synthetic>(options);
  const auto of = [&](const std::vector<int64_t>& train, const Tensor& test = {}) {
    return SelectedDataset(whole, torch::tensor(train, torch::kLong), test).identity();
  };
  EXPECT_EQ(of({0, 2}), of({0, 2}));
  EXPECT_TRUE(of({0, 2}).starts_with(whole->identity() + "/"));
  EXPECT_NE(of({0, 2}), of({0, 3}));
  EXPECT_NE(of({0, 2}), of({0, 2}, torch::tensor({0}, torch::kLong)));
}

TEST(Synthetic, ThatFitsNoMemoryIsRefused) {
  Synthetic::Options options;
  options.samples = options.size = std::numeric_limits<int64_t>::max();
  const std::string got = test::error_of([&] { Synthetic data(options); });
  EXPECT_TRUE(got.starts_with("5 data set 'synthetic': 9.0 EB are needed, this machine has ")) << got;
}

TEST(DataRecord, CountsInOneLine) {
  const nlohmann::json record = {{"name", "image_folder"},
                                 {"identity", "crc32:1"},
                                 {"train", 8},
                                 {"test", 0},
                                 {"classes", {"a", "b"}},
                                 {"remarks", {"left out 1 x", "2 y"}}};
  EXPECT_EQ(data_line(record),
            "data: image_folder, 8 training samples, no test samples, 2 classes; left out 1 x; 2 y");
  Synthetic::Options options;
  options.samples = options.test_samples = options.classes = 1;
  EXPECT_EQ(data_line(data_record("synthetic", Synthetic(options))),
            "data: synthetic, 1 training sample, 1 test sample, 1 class");
}

TEST(DataRecord, ARunRefusesOtherDataThanItsRecordNames) {
  const Folder folder;
  const auto record = [](const std::string& identity, int64_t train) {
    return nlohmann::json{{"identity", identity}, {"train", train}, {"test", 2}, {"classes", {"a"}}};
  };
  const auto check = [&](const nlohmann::json& now) {
    return test::error_of([&] { check_same_data(folder.path(), now); });
  };
  EXPECT_EQ(check(record("crc32:1", 64)), "no error") << "no record yet";
  write_atomically(folder / "data.json", record("crc32:1", 64).dump());
  EXPECT_EQ(check(record("crc32:1", 64)), "no error");
  EXPECT_EQ(check(record("", 32)), "no error") << "not known";
  EXPECT_EQ(check(record("crc32:2", 32)), "2 " + folder.path() +
                                              ": the data differs: "
                                              "was crc32:1 (64 training samples, 2 test samples, 1 class), "
                                              "is crc32:2 (32 training samples, 2 test samples, 1 class). "
                                              "Put the old data back, choose another run.name, "
                                              "or --restart to keep the old folder aside and begin anew.");
  write_atomically(folder / "data.json", "[1");
  EXPECT_TRUE(check(record("crc32:2", 32)).starts_with("5 " + (folder / "data.json") + ": not JSON: "));
}

}  // namespace
}  // namespace foil
