// SPDX-License-Identifier: BSD-3-Clause
// The files that an experiment names: data, plugins, weights, checkpoints.
#include "bad_input.h"

#include <foil/abi.h>

#include <linux/capability.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>

namespace {

// ---- Data

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
             "cifar10: no data_batch_1.bin[.gz] in FOLDER/sets/cifar-10-batches-bin. To get it: unpack "
             "cifar-10-binary.tar.gz (the "
             "binary version) of the CIFAR page; or set data.path, or FOIL_DATA to the folder that holds "
             "cifar-10-batches-bin/.",
             5,
             {"train", "e.toml"},
             {},
             {"FOIL_DATA=FOLDER/sets"}},
        Case{"MissingImageFolder",
             {{"e.toml", folder}},
             "FOLDER/data/train: no such folder; if the class folders lie in data.path itself, set data.flat "
             "= true.",
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
             "e.toml:4:8: the images of 'image_folder' differ in size: the first [[augment]] must bring them "
             "to one size "
             "(random_resized_crop).",
             2}),
    name_of);

// ---- Plugins

const std::string novel = run_table + data_table + encoder_table + "[[loss]]\nname = \"novel\"\n";
const std::string refused =
    "e.toml:10:8: unknown loss 'novel'. Known names: LOSSES.\nrefused: FOLDER/plugins/novel.so: ";

std::string plugin_bytes() { return foil::slurp(FOIL_TEST_PLUGIN); }
Case plugin_case(const std::string& name, const std::string& bytes, const std::string& reason,
                 const std::function<void(const Workplace&)>& prepare = {}) {
  return {name,
          {{"e.toml", novel}, {"plugins/novel.so", bytes}},
          refused + reason,
          3,
          {"train", "e.toml"},
          prepare,
          {"FOIL_PLUGIN_PATH=FOLDER/plugins"}};
}

INSTANTIATE_TEST_SUITE_P(
    Plugin, BadInput,
    ::testing::Values(
        plugin_case("NotElf", "a text", "is not a shared library (no ELF header)."),
        plugin_case("Truncated", plugin_bytes().substr(0, plugin_bytes().size() / 2),
                    "damaged: it ends before its own headers say."),
        plugin_case("OtherAbi", replaced(plugin_bytes(), "torch 2.11.0 |", "torch 2.10.9 |"),
                    "built for [" + replaced(FOIL_ABI, "torch 2.11.0", "torch 2.10.9") +
                        "], this program is [" FOIL_ABI
                        "]. Rebuild: cmake --build its build folder, against this foil."),
        plugin_case("Fifo", "", "is no regular file, allowed: a shared library.",
                    [](const Workplace& place) {
                      std::filesystem::remove(place.folder / "plugins/novel.so");
                      ASSERT_EQ(::mkfifo((place.folder / "plugins/novel.so").c_str(), 0600), 0);
                    }),
        plugin_case("OthersMayWriteTheFolder", plugin_bytes(),
                    "others may write its folder FOLDER/plugins. chmod o-w it, or say --trust.",
                    [](const Workplace& place) {
                      std::filesystem::permissions(place.folder / "plugins", std::filesystem::perms::all);
                    }),
        Case{"MissingPluginFolder",
             {{"e.toml", novel + "[plugins]\npath = [\"plugins\", \"plugin\"]\n"}, {"plugins/notes.txt", ""}},
             "e.toml:12:20: plugins.path[1]: no such folder: FOLDER/plugin. Did you mean 'FOLDER/plugins'?",
             2},
        plugin_case("NoPlugin", "", "is a shared library but not a foil plugin (no FOIL_PLUGIN in it).",
                    [](const Workplace& place) {
                      std::filesystem::remove(place.folder / "plugins/novel.so");
                      std::filesystem::create_symlink(FOIL_TEST_LIBRARY, place.folder / "plugins/novel.so");
                    }),
        plugin_case("OthersMayWrite", plugin_bytes(),
                    "others may write this file. chmod o-w it, or say --trust.",
                    [](const Workplace& place) {
                      std::filesystem::permissions(place.folder / "plugins/novel.so",
                                                   std::filesystem::perms::others_write,
                                                   std::filesystem::perm_options::add);
                    })),
    name_of);

// ---- Weights

std::string safetensors(const std::string& header, size_t data_bytes) {
  uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + std::string(data_bytes, '\0');
}
std::string huge_header() {
  const uint64_t size = uint64_t{1} << 62;
  return std::string(reinterpret_cast<const char*>(&size), 8) + "{}";
}
Case weights_case(const std::string& name, const std::string& bytes, const std::string& reason) {
  return {name,
          {{"e.toml", good + "[model]\nweights = \"w.safetensors\"\n"}, {"w.safetensors", bytes}},
          "w.safetensors: " + reason,
          5};
}

INSTANTIATE_TEST_SUITE_P(
    Weights, BadInput,
    ::testing::Values(
        weights_case(
            "Overlap",
            safetensors(
                R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                12),
            "tensor 'a' overlaps 'b'"),
        weights_case(
            "Hole",
            safetensors(
                R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
                12),
            "hole of 4 bytes before tensor 'b'"),
        weights_case("HugeHeader", huge_header(),
                     "header of 4611686018427387904 bytes, allowed: at most 100000000"),
        weights_case("NegativeOffset",
                     safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4),
                     "tensor 'a' has -4 in data_offsets, allowed: integers >= 0"),
        weights_case("CutShort", safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4),
                     "tensor 'a' ends at byte 8 of 4 bytes of data: the file is cut short"),
        Case{"OtherNames",
             {{"e.toml", run_table + data_table +
                             "[encoder]\nname = \"mlp\"\nwidths = [4]\nbatch_norm = false\n" + loss_table +
                             "[model]\nweights = \"w.safetensors\"\n"},
              {"w.safetensors",
               safetensors(R"({"layers.0.weigt":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4)}},
             "w.safetensors: the tensors do not fit:\n  missing: layers.0.bias [4]\n  missing: "
             "layers.0.weight [4, 3072]\n  "
             "unexpected: layers.0.weigt [1]. Did you mean 'layers.0.weight'?",
             5},
        Case{"Missing",
             {{"e.toml", good + "[model]\nweights = \"w.safetensors\"\n"}},
             "w.safetensors: cannot read: No such file or directory",
             5}),
    name_of);

// ---- Checkpoints

// A run of no step, and a change to it.
std::function<void(const Workplace&)> after_a_run(
    const std::function<void(const std::filesystem::path& run)>& change) {
  return [change](const Workplace& place) {
    ASSERT_EQ(
        place.foil({"train", "e.toml", "--quiet", "--set", "run.steps=0", "--set", "evaluate.linear=false"})
            .code,
        0);
    change(place.folder / "runs/run/seed0");
  };
}
void flip_a_byte(const std::filesystem::path& file) {
  std::string bytes = foil::slurp(file);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  std::ofstream(file, std::ios::binary) << bytes;
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoint, BadInput,
    ::testing::Values(
        Case{"None",
             {{"e.toml", good}},
             "runs/run/seed0: has no checkpoint.",
             5,
             {"evaluate", "runs/run/seed0"},
             after_a_run([](const auto& run) { std::filesystem::remove_all(run / "checkpoints"); })},
        Case{
            "Damaged",
            {{"e.toml", good}},
            "checkpoints/step-00000000: checksum differs; no older one to fall back to\nruns/run/seed0: has "
            "no checkpoint.",
            5,
            {"evaluate", "runs/run/seed0"},
            after_a_run([](const auto& run) { flip_a_byte(run / "checkpoints/step-00000000.safetensors"); })},
        Case{
            "DamagedAndNamed",
            {{"e.toml", good}},
            "runs/run/seed0/checkpoints/step-00000000: checksum differs",
            5,
            {"evaluate", "runs/run/seed0", "--checkpoint",
             "runs/run/seed0/checkpoints/step-00000000.safetensors"},
            after_a_run([](const auto& run) { flip_a_byte(run / "checkpoints/step-00000000.safetensors"); })},
        Case{"NoRun", {}, "nowhere/config.resolved.toml: no such file.", 2, {"evaluate", "nowhere"}}),
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

// What is believed of a file before it was looked at, or walked by recursion, ends a program by a signal.
TEST(BadFile, NestedJsonInARunFolderIsRefusedInWords) {
  const Workplace place;
  place.write("e.toml", good);
  ASSERT_EQ(place.foil({"train", "e.toml", "--quiet", "--set", "evaluate.linear=false"}).code, 0);
  const std::string nested(1'000'000, '[');
  for (const char* name : {"status", "data.json"}) {
    const std::string path = "runs/run/seed0/" + std::string(name), whole = foil::slurp(place.folder / path);
    place.write(path, nested);
    const Outcome outcome = place.foil({"train", "e.toml", "--quiet", "--set", "evaluate.linear=false"});
    EXPECT_EQ(outcome.code, 5) << name;
    EXPECT_NE(outcome.err.find(path + ": nested deeper than 100\n"), std::string::npos) << outcome.err;
    place.write(path, whole);
  }
  for (const char* name : {"env.json", "results.json", "metrics.jsonl", "status"}) {
    place.write("runs/run/seed0/" + std::string(name), nested + "\n");
    const Outcome outcome = place.foil({"compare", "runs/run/seed0", "--report", "report"});
    EXPECT_TRUE(outcome.code == 0 || outcome.code == 5) << name << " " << outcome.code << " " << outcome.err;
  }
}

TEST(BadFile, AFifoInPlaceOfAFileIsNotWaitedFor) {
  const Workplace place;
  place.write("e.toml", good + "[model]\nweights = \"w.safetensors\"\n");
  ASSERT_EQ(::mkfifo((place.folder / "w.safetensors").c_str(), 0600), 0);
  const Outcome outcome = place.foil({"train", "e.toml", "--quiet"});
  EXPECT_EQ(outcome.err, "w.safetensors: cannot read: it is no file, but a FIFO, a socket or a device\n");
  EXPECT_EQ(outcome.code, 5);
}

}  // namespace
