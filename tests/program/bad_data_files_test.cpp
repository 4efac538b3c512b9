// SPDX-License-Identifier: BSD-3-Clause
// The data that an experiment names: missing, damaged, or another than before.
#include "bad_input.h"

#include <linux/capability.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>

namespace {

std::string big_endian(uint32_t number) {
  return {static_cast<char>(number >> 24), static_cast<char>(number >> 16), static_cast<char>(number >> 8),
          static_cast<char>(number)};
}

// IDX files of `count` images of 2 x 2, and of their labels.
std::string idx_images(uint32_t count) {
  return std::string("\0\0\x08\x03", 4) + big_endian(count) + big_endian(2) + big_endian(2) +
         std::string(4 * count, '\x07');
}
std::string idx_labels(uint32_t count) {
  return std::string("\0\0\x08\x01", 4) + big_endian(count) + std::string(count, '\x01');
}

std::string gzipped(const std::string& bytes) {
  const Workplace place;
  const std::string path = place.folder / "x.gz";
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return foil::slurp(path);
}

std::string png(uint32_t height, uint32_t width) {
  const auto chunk = [](const std::string& body) {
    return big_endian(static_cast<uint32_t>(body.size()) - 4) + body +
           big_endian(static_cast<uint32_t>(
               crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
  };
  const std::string rows(height * (1 + 3 * width), '\0');
  std::string packed(rows.size() + 100, '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
           rows.size());
  return std::string("\x89PNG\r\n\x1a\n") +
         chunk("IHDR" + big_endian(height == 0 ? 0 : width) + big_endian(height) +
               std::string("\x08\x02\0\0\0", 5)) +
         chunk("IDAT" + packed.substr(0, size)) + chunk("IEND");
}

// An experiment on IDX files in data/.
const std::string idx =
    run_table + "[data]\nname = \"idx\"\npath = \"data\"\nbatch_size = 2\n" + encoder_table + loss_table;
const std::string images = "data/train-images-idx3-ubyte", labels = "data/train-labels-idx1-ubyte";
const std::string folder = run_table + "[data]\nname = \"image_folder\"\npath = \"data\"\nbatch_size = 2\n" +
                           encoder_table + loss_table;

std::map<std::string, std::string> idx_files(const std::string& train_images,
                                             const std::string& train_labels) {
  return {{"e.toml", idx},
          {images, train_images},
          {labels, train_labels},
          {"data/t10k-images-idx3-ubyte", idx_images(4)},
          {"data/t10k-labels-idx1-ubyte", idx_labels(4)}};
}

// Files without permissions stop the superuser too, once the programs started here are without its right to
// pass over them.
void forbid(const Workplace& place) {
  std::filesystem::permissions(place.folder / images, std::filesystem::perms::none);
  if (::geteuid() != 0) return;
  ASSERT_EQ(::prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE), 0) << std::strerror(errno);
  ASSERT_EQ(::prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH), 0) << std::strerror(errno);
}

INSTANTIATE_TEST_SUITE_P(
    Data, BadInput,
    ::testing::Values(
        Case{"ShortIdx", idx_files(idx_images(4).substr(0, 16 + 11), idx_labels(4)),
             "FOLDER/" + images + ": 4 images expected, the file ends after 2.", 5},
        Case{"WrongMagic", idx_files(idx_labels(4), idx_labels(4)),
             "FOLDER/" + images +
                 ": starts with 00 00 08 01, expected for images: 00 00 08 03 or 00 00 08 04.",
             5},
        Case{"LabelCount", idx_files(idx_images(4), idx_labels(3)),
             "FOLDER/" + labels + ": 3 labels, but FOLDER/" + images + " holds 4 images.", 5},
        Case{"TruncatedGzip",
             {{"e.toml", idx},
              {images + ".gz", gzipped(idx_images(4)).substr(0, 20)},
              {labels, idx_labels(4)}},
             "FOLDER/" + images + ".gz: unexpected end of file.",
             5},
        Case{"BadGzip",
             {{"e.toml", idx},
              {images + ".gz", std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10) + "not compressed at all"},
              {labels, idx_labels(4)}},
             "FOLDER/" + images + ".gz: invalid block type.",
             5},
        Case{"Permission",
             idx_files(idx_images(4), idx_labels(4)),
             "FOLDER/" + images + ": cannot be opened: Permission denied.",
             5,
             {"train", "e.toml"},
             forbid},
        Case{"MissingFolder",
             {{"e.toml", idx}},
             "FOLDER/" + images + ": cannot be opened: No such file or directory.",
             5},
        Case{"MissingNamedSet",
             {{"e.toml", run_table + "[data]\nname = \"cifar10\"\n" + encoder_table + loss_table}},
             "cifar10: no data_batch_1.bin[.gz] in FOLDER/sets/cifar-10-batches-bin. "
             "To get it: unpack cifar-10-binary.tar.gz (the binary version) of the CIFAR page; "
             "or set data.path, or FOIL_DATA to the folder that holds cifar-10-batches-bin/.",
             5,
             {"train", "e.toml"},
             {},
             {"FOIL_DATA=FOLDER/sets"}},
        Case{"MissingImageFolder",
             {{"e.toml", folder}},
             "FOLDER/data/train: no such folder; "
             "if the class folders lie in data.path itself, set data.flat = true.",
             5},
        Case{"BrokenJpeg",
             {{"e.toml", folder},
              {"data/train/a/1.png", png(3, 4)},
              {"data/train/a/2.jpg", "\xff\xd8\xff and no more"}},
             "FOLDER/data/train/a/2.jpg: broken JPEG: Unsupported marker type 0x20.",
             5},
        Case{"BrokenPng",
             {{"e.toml", folder}, {"data/train/a/1.png", png(3, 4)}, {"data/train/a/2.png", png(0, 4)}},
             "FOLDER/data/train/a/2.png: broken PNG: Invalid IHDR data.",
             5},
        Case{"NotAnImage",
             {{"e.toml", folder}, {"data/train/a/1.png", "a text"}},
             "FOLDER/data/train/a/1.png: neither a JPEG nor a PNG file (6 bytes).",
             5},
        Case{"ImagesOfDifferentSizes",
             {{"e.toml", folder}, {"data/train/a/1.png", png(3, 4)}, {"data/train/a/2.png", png(4, 3)}},
             "e.toml:4:8: the images of 'image_folder' differ in size: "
             "the first [[augment]] must bring them to one size (random_resized_crop).",
             2}),
    name_of);

// What only shows when the image is decoded: the run exists by then, and says why it failed.
TEST(BadData, AnImageBrokenInItsMiddleFailsTheRunNamingTheFile) {
  const Workplace place;
  place.write("e.toml", folder);
  const std::string whole = png(40, 40);
  place.write("data/train/a/1.png", whole);
  place.write("data/train/a/2.png", whole.substr(0, whole.size() - 20));
  const Outcome outcome = place.foil({"train", "e.toml", "--quiet"});
  const std::string reason =
      (place.folder / "data/train/a/2.png").string() + ": broken PNG: the file ends early.";
  EXPECT_EQ(outcome.err, reason + "\n");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_NE(foil::slurp(place.folder / "runs/run/seed0/status").find("\"reason\":\"" + reason + "\""),
            std::string::npos);
}

// Latin-1, as old archives unpack: the name is no UTF-8, of which JSON and the terminal know nothing.
TEST(BadData, AFileNameThatIsNoUtf8IsShownEscaped) {
  const Workplace place;
  place.write("e.toml", folder);
  const std::string whole = png(40, 40);
  place.write("data/train/a/1.png", whole);
  place.write("data/train/a/caf\xe9\n\x1b[2J.png", whole.substr(0, whole.size() - 20));
  const Outcome outcome = place.foil({"train", "e.toml", "--quiet"});
  EXPECT_EQ(outcome.err, (place.folder / "data/train/a").string() +
                             "/caf\\xe9\\x0a\\x1b[2J.png: broken PNG: the file ends early.\n");
  EXPECT_EQ(outcome.code, 5);
  const auto status = nlohmann::json::parse(foil::slurp(place.folder / "runs/run/seed0/status"));
  EXPECT_EQ(status["state"], "failed");
  EXPECT_NE(status["reason"].get<std::string>().find("caf\\xe9"), std::string::npos) << status;
}

TEST(BadData, WhatWasReadIsCountedAloudAndKept) {
  const Workplace place;
  place.write("e.toml", folder);
  place.write("data/train/a/1.png", png(16, 16));
  place.write("data/train/b/2.png", png(16, 16));
  place.write("data/train/b/3.bmp", "BM");
  const Outcome outcome = place.foil({"train", "e.toml"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const std::string counted =
      "2 training samples, no test samples, 2 classes; left out 1 file of another kind (.bmp 1)\n";
  EXPECT_NE(outcome.err.find("data: image_folder, " + counted), std::string::npos) << outcome.err;
  const auto record = nlohmann::json::parse(foil::slurp(place.folder / "runs/run/seed0/data.json"));
  EXPECT_EQ(record["train"], 2);
  EXPECT_EQ(record["classes"], (nlohmann::json{"a", "b"}));
  EXPECT_EQ(record["remarks"], nlohmann::json{"left out 1 file of another kind (.bmp 1)"});
  EXPECT_EQ(record["identity"],
            nlohmann::json::parse(foil::slurp(place.folder / "runs/run/seed0/results.json"))["data"]);
}

TEST(BadData, ARunDoesNotGoOnWithOtherData) {
  const Workplace place;
  place.write("e.toml", folder);
  for (const char* name : {"1.png", "2.png", "3.png"})
    place.write(std::string("data/train/a/") + name, png(16, 16));
  ASSERT_EQ(place.foil({"train", "e.toml", "--quiet"}).code, 0);
  const std::filesystem::path run = place.folder / "runs/run/seed0";
  const std::string before = nlohmann::json::parse(foil::slurp(run / "data.json"))["identity"];
  std::filesystem::remove(place.folder / "data/train/a/3.png");
  const Outcome outcome = place.foil({"train", "e.toml", "--quiet"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(outcome.err.starts_with("runs/run/seed0: the data differs: was " + before +
                                      " (3 training samples, no test samples, 1 class), is crc32:"))
      << outcome.err;
  EXPECT_NE(outcome.err.find("--restart"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(foil::slurp(run / "status"))["state"], "finished");
  EXPECT_EQ(place.foil({"train", "e.toml", "--quiet", "--restart"}).code, 0);
  EXPECT_NE(nlohmann::json::parse(foil::slurp(run / "data.json"))["identity"], before);
}

TEST(BadData, AStudyDoesNotGoOnWithOtherData) {
  const Workplace place;
  place.write("e.toml", folder + "[sweep]\nseeds = 1\n");
  for (const char* name : {"1.png", "2.png", "3.png"})
    place.write(std::string("data/train/a/") + name, png(16, 16));
  ASSERT_EQ(place.foil({"ablate", "e.toml", "--quiet"}).code, 0);
  place.write("data/train/a/3.png", png(16, 17));
  EXPECT_EQ(place.foil({"ablate", "e.toml", "--quiet"}).code, 0)
      << "nothing is left to run, so nothing is opened";
  place.write("data/train/a/3.png", png(16, 16) + "x");
  place.write("e.toml", folder + "[sweep]\nseeds = 2\n");
  const Outcome outcome = place.foil({"ablate", "e.toml", "--quiet"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(outcome.err.starts_with("runs/run: the data differs: was crc32:")) << outcome.err;
  EXPECT_NE(outcome.err.find("for the trial 'seed0', is crc32:"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(place.folder / "runs/run/seed1"));
  place.write("data/train/a/3.png", png(16, 16));
  EXPECT_EQ(place.foil({"ablate", "e.toml", "--quiet"}).code, 0) << "the old data is back";
}

}  // namespace
