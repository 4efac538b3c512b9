// SPDX-License-Identifier: BSD-3-Clause
// Embeddings on folders written here, in both formats.
#include "data/embeddings.h"

#include "bad_data.h"
#include "conforms.h"
#include "data/npy.h"
#include "run/safetensors.h"

#include <torch/types.h>

#include <cstring>

namespace foil {
namespace {

using test::Bytes;
using test::error_of;
using test::Folder;

// As numpy writes it: the description padded to a multiple of 64 bytes.
Bytes npy(const std::string& kind, const std::string& shape, const Bytes& numbers,
          const std::string& fortran = "False") {
  std::string text =
      "{'descr': '" + kind + "', 'fortran_order': " + fortran + ", 'shape': (" + shape + "), }";
  text.resize((text.size() + 11 + 63) / 64 * 64 - 11, ' ');
  text += '\n';
  Bytes file{0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  file.push_back(static_cast<uint8_t>(text.size()));
  file.push_back(static_cast<uint8_t>(text.size() >> 8));
  file.insert(file.end(), text.begin(), text.end());
  file.insert(file.end(), numbers.begin(), numbers.end());
  return file;
}

Bytes bytes_of(const Tensor& tensor) {
  Bytes bytes(tensor.nbytes());
  std::memcpy(bytes.data(), tensor.const_data_ptr(), bytes.size());
  return bytes;
}

const Tensor kImage = torch::arange(12, torch::kFloat).view({4, 3}) / 7;
const Tensor kText = torch::arange(8, torch::kDouble).view({4, 2}) / 3;

void write_embeddings(const Folder& folder) {
  save_tensors(folder / "train.safetensors", {{"image", kImage},
                                              {"text", kText},
                                              {"label", torch::tensor({0, 2, -1, 0}, torch::kInt)},
                                              {"group", torch::tensor({5, 5, 7, -1}, torch::kLong)}});
  folder.write("test.image.npy", npy("<f2", "2, 3", bytes_of(kImage.slice(0, 0, 2).to(at::kHalf))));
  folder.write("test.text.npy", npy("<f8", "2, 2", bytes_of(kText.slice(0, 2, 4))));
  folder.write("test.label.npy", npy("<i8", "2,", bytes_of(torch::tensor({3, 0}, torch::kLong))));
}

Embeddings embeddings(const std::string& folder) {
  Embeddings::Options options;
  options.path = folder;
  return Embeddings(options);
}

TEST(Embeddings, AreAModalityAnArrayInBothFormats) {
  const Folder folder;
  write_embeddings(folder);
  const Embeddings data = embeddings(folder.path());
  ASSERT_EQ(data.modalities().size(), 2u);
  EXPECT_EQ(data.modalities()[0].name, "image");
  EXPECT_EQ(data.modalities()[1].shape.sizes, std::vector<int64_t>{2});
  EXPECT_EQ(data.modalities()[1].shape.kind, Kind::vector);
  const Tensor order = torch::tensor({3, 1}, torch::kLong);
  const Views some = data.read(Split::train, order);
  EXPECT_TRUE(some[0].data.equal(kImage.index_select(0, order)));
  EXPECT_TRUE(some[1].data.equal(kText.index_select(0, order))) << "doubles stay what they are";
  const Views test = data.read(Split::test, torch::arange(2));
  EXPECT_TRUE(test[0].data.equal(kImage.slice(0, 0, 2).to(at::kHalf).to(at::kFloat)));
  EXPECT_TRUE(test[1].data.equal(kText.slice(0, 2, 4)));
  EXPECT_EQ(data.classes().size(), 4u) << "the largest label of any split";
  EXPECT_TRUE(data.labels(Split::train).equal(torch::tensor({0, 2, -1, 0}, torch::kLong)));
  EXPECT_TRUE(data.groups(Split::train).equal(torch::tensor({5, 5, 7, -1}, torch::kLong)));
  EXPECT_FALSE(data.groups(Split::test).defined());
  EXPECT_EQ(data.size(Split::validation), 0);
}

TEST(Embeddings, HoldWhatEveryDataSetMust) {
  const Folder folder;
  write_embeddings(folder);
  test::expect_conforms("embeddings", folder.path());
}

TEST(Embeddings, RefuseWhatDoesNotFitTogether) {
  const auto train = [](const std::string& name, const Tensor& tensor) {
    return [=](const Folder& folder) {
      std::map<std::string, Tensor> all = load_tensors(folder / "train.safetensors").tensors;
      all[name] = tensor;
      save_tensors(folder / "train.safetensors", all);
    };
  };
  const auto test_text = [](const Bytes& bytes) {
    return [=](const Folder& folder) { folder.write("test.text.npy", bytes); };
  };
  Tensor broken = kImage.clone();
  broken[2][1] = std::numeric_limits<float>::quiet_NaN();
  test::expect_messages(
      {{"no training rows", [](const Folder& f) { std::filesystem::remove(f / "train.safetensors"); },
        "5 embeddings: no train.safetensors and no train.NAME.npy with an array [N, F] in FOLDER. Set "
        "data.path "
        "to their folder."},
       {"another number of rows", train("text", kText.slice(0, 0, 3)),
        "5 FOLDER/train.safetensors: 'text' has 3 rows, the other arrays 4."},
       {"images", train("text", torch::zeros({4, 2, 2})),
        "5 FOLDER/train.safetensors: 'text' is float [4, 2, 2], allowed: floats [N, F], or whole numbers [N] "
        "by "
        "the name of label or group."},
       {"a nan", train("image", broken),
        "5 FOLDER/train.safetensors: 'image': row 2 (from 0) is not finite."},
       {"a label too few", train("label", torch::zeros({3}, torch::kLong)),
        "5 FOLDER/train.safetensors: 'label' is long int [3], allowed: whole numbers [4], one for each "
        "sample."},
       {"a label below -1", train("label", torch::full({4}, -2, torch::kLong)),
        "5 FOLDER/train.safetensors: 'label' holds -2, allowed: at least -1, which says that a sample has "
        "none."},
       {"another width", test_text(npy("<f4", "2, 3", bytes_of(torch::zeros({2, 3})))),
        "5 FOLDER/test.text.npy: 'text' is 3 wide, of train 2."},
       {"a modality less", [](const Folder& f) { std::filesystem::remove(f / "test.text.npy"); },
        "5 FOLDER/test.image.npy: test has no array 'text', but train has. Known arrays: image."},
       {"no npy", test_text(test::bytes_of("PK\3\4 and so on")),
        "5 FOLDER/test.text.npy: is no .npy file of the formats 1 to 3."},
       {"a cut description", test_text(test::cut(npy("<f4", "2, 2", Bytes(16)), 40)),
        "5 FOLDER/test.text.npy: ends inside its description."},
       {"cut numbers", test_text(npy("<f4", "2, 2", Bytes(15))),
        "5 FOLDER/test.text.npy: is shorter than its shape says."},
       {"more numbers", test_text(npy("<f4", "2, 2", Bytes(20))),
        "5 FOLDER/test.text.npy: holds 20 bytes of numbers, its shape needs 16."},
       {"columns first", test_text(npy("<f4", "2, 2", Bytes(16), "True")),
        "5 FOLDER/test.text.npy: is in Fortran order, allowed: C order."},
       {"objects", test_text(npy("|O", "2, 2", Bytes(16))),
        "5 FOLDER/test.text.npy: holds numbers of the kind '|O', allowed: <f2, <f4, <f8, <i4, <i8."}},
      write_embeddings, [](const Folder& folder) { embeddings(folder.path()); });
}

}  // namespace
}  // namespace foil
