// SPDX-License-Identifier: BSD-3-Clause
// The files that an experiment names beside its data: plugins, weights, checkpoints.
#include "bad_input.h"

#include <foil/abi.h>

#include <sys/stat.h>

namespace {

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
             "w.safetensors: the tensors do not fit:\n  missing: layers.0.bias [4]\n"
             "  missing: layers.0.weight [4, 3072]\n  unexpected: layers.0.weigt [1]. "
             "Did you mean 'layers.0.weight'?",
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
            "checkpoints/step-00000000: checksum differs; no older one to fall back to\n"
            "runs/run/seed0: has no checkpoint.",
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
