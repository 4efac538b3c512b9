// SPDX-License-Identifier: BSD-3-Clause
// What a user can get wrong: each row has the files, the arguments, the whole of stderr and the exit code. Nothing may be created
// where runs go. FOLDER stands for the folder of the case, LOSSES, ENCODERS, ... for the names that this build registers.
#include "tests/support/run_foil.h"

#include <foil/abi.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

namespace {

using foil::Outcome;
using foil::Workplace;

const std::string run_table = "[run]\nsteps = 1\n";
const std::string data_table = "[data]\nname = \"synthetic\"\nsamples = 32\nbatch_size = 8\n";
const std::string encoder_table = "[encoder]\nname = \"small_cnn\"\n";
const std::string loss_table = "[[loss]]\nname = \"infonce\"\n";
const std::string good = run_table + data_table + encoder_table + loss_table;

struct Case {
  std::string name;
  std::map<std::string, std::string> files;
  std::string message;
  int code = 2;
  std::vector<std::string> arguments = {"train", "e.toml"};
  std::function<void(const Workplace&)> prepare = {};
  std::vector<std::string> env = {};
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
  return text;
}

// "a, b, c": the registered names of a kind, as messages list them.
std::string registered(const std::string& kind) {
  static const std::string all = Workplace().foil({"plugins"}).out;
  std::istringstream lines(all);
  std::string names;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(kind + " ", 0) != 0) continue;
    std::istringstream words(line.substr(14));
    std::string name;
    words >> name;
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

class BadInput : public ::testing::TestWithParam<Case> {};

TEST_P(BadInput, IsRefusedInWholeAndNothingIsCreated) {
  const Case& c = GetParam();
  const Workplace place;
  for (const auto& [name, text] : c.files) place.write(name, replaced(text, "FOLDER", place.folder.string()));
  if (c.prepare) c.prepare(place);
  std::vector<std::string> arguments, env;
  for (const std::string& argument : c.arguments) arguments.push_back(replaced(argument, "FOLDER", place.folder.string()));
  for (const std::string& variable : c.env) env.push_back(replaced(variable, "FOLDER", place.folder.string()));
  const auto listing = [&] {
    std::vector<std::string> names;
    if (!std::filesystem::exists(place.folder / "runs")) return names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(place.folder / "runs")) names.push_back(entry.path());
    std::sort(names.begin(), names.end());
    return names;
  };
  const std::vector<std::string> before = listing();
  const Outcome outcome = place.foil(arguments, env);
  std::string message = c.message;
  for (const auto& [word, kind] : std::map<std::string, std::string>{
           {"LOSSES", "loss"}, {"ENCODERS", "encoder"}, {"DATA_SETS", "data set"}, {"AUGMENTATIONS", "augmentation"}}) {
    if (message.find(word) != std::string::npos) message = replaced(message, word, registered(kind));
  }
  EXPECT_EQ(replaced(outcome.err, place.folder.string(), "FOLDER"), message + "\n");
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.code, c.code);
  EXPECT_EQ(listing(), before);
}

std::string name_of(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

// ---- The command line

INSTANTIATE_TEST_SUITE_P(
    CommandLine, BadInput,
    ::testing::Values(
        Case{"MissingFile", {{"e.toml", good}}, "e2.toml: no such file. Did you mean 'e.toml'?", 2, {"train", "e2.toml"}},
        Case{"AFolderForTheFile",
             {{"folder/e.toml", good}},
             "folder: is a folder, allowed: an experiment file (*.toml).",
             2,
             {"train", "folder"}},
        Case{"UnknownVerb",
             {},
             "unknown verb 'tain'. Known verbs: train, evaluate, ablate, compare, config, plugins, describe, new, score, doctor. Did you mean 'train'?",
             2,
             {"tain", "e.toml"}},
        Case{"UnknownFlag",
             {{"e.toml", good}},
             "The following argument was not expected: --restrat\nRun with --help for more information.",
             2,
             {"train", "e.toml", "--restrat"}},
        Case{"NoVerb", {}, "A subcommand is required\nRun with --help for more information.", 2, {}},
        Case{"SetWithoutValue",
             {{"e.toml", good}},
             "--set run.steps: expected KEY=VALUE.",
             2,
             {"train", "e.toml", "--set", "run.steps"}},
        Case{"SetOfUnknownKey",
             {{"e.toml", good}},
             "--set run.step=3: unknown key run.step. Known keys: name, seed, epochs, steps, output, precision, deterministic, "
             "threads, timeout. Did you mean 'steps'?",
             2,
             {"train", "e.toml", "--set", "run.step=3"}},
        Case{"SetOutOfRange",
             {{"e.toml", good}},
             "--set loss.temperature=0: loss.temperature = 0, allowed: a number > 0.",
             2,
             {"train", "e.toml", "--set", "loss.temperature=0"}},
        Case{"SetOfBrokenValue",
             {{"e.toml", good}},
             "--set head.dims=[8: VALUE is not valid TOML.",
             2,
             {"train", "e.toml", "--set", "head.dims=[8"}},
        Case{"UnknownTrial",
             {{"e.toml", good + "[sweep]\nseeds = 2\n"}},
             "e.toml: unknown trial 'seed2'. Known trials: seed0, seed1. Did you mean 'seed0'?",
             2,
             {"train", "e.toml", "--trial", "seed2"}}),
    name_of);

// ---- The experiment file

INSTANTIATE_TEST_SUITE_P(
    Toml, BadInput,
    ::testing::Values(
        Case{"Syntax",
             {{"e.toml", run_table + "name = \n" + data_table}},
             "e.toml:3:8: not valid TOML: Error while parsing key-value pair: expected value, saw '\\n'."},
        Case{"UnknownKeyAtTheTop",
             {{"e.toml", good + "[optimiser]\nname = \"sgd\"\n"}},
             "e.toml:11:2: unknown key optimiser. Known keys: run, data, sampler, views, augment, encoder, head, predictor, "
             "momentum, model, loss, optimizer, schedule, evaluate, checkpoint, log, plugins, sweep. Did you mean 'optimizer'?"},
        Case{"UnknownKeyInRun",
             {{"e.toml", "[run]\nsteps = 1\nsede = 3\n" + data_table + encoder_table + loss_table}},
             "e.toml:3:1: unknown key run.sede. Known keys: name, seed, epochs, steps, output, precision, deterministic, threads, "
             "timeout. Did you mean 'seed'?"},
        Case{"UnknownKeyInLoss",
             {{"e.toml", good + "temprature = 0.1\n"}},
             "e.toml:11:1: unknown key loss.temprature. Known keys: name, weight, learning_rate_factor, temperature. Did you mean "
             "'temperature'?"},
        Case{"WrongType",
             {{"e.toml", good + "temperature = \"0.1\"\n"}},
             "e.toml:11:15: loss.temperature = \"0.1\" (a text), allowed: a number > 0."},
        Case{
            "OutOfRange", {{"e.toml", good + "temperature = -1\n"}}, "e.toml:11:15: loss.temperature = -1, allowed: a number > 0."},
        Case{"FractionForAnInteger",
             {{"e.toml", "[run]\nsteps = 1.5\n" + data_table + encoder_table + loss_table}},
             "e.toml:2:9: run.steps = 1.5 (a number), allowed: an integer >= -1."},
        Case{"NoneOfTheChoices",
             {{"e.toml", "[run]\nprecision = \"fp23\"\n" + data_table + encoder_table + loss_table}},
             "e.toml:2:13: run.precision = \"fp23\", allowed: \"fp32\", \"bf16\", \"fp64\". Did you mean 'fp32'?"},
        Case{"StepsAndEpochs",
             {{"e.toml", "[run]\nsteps = 1\nepochs = 1\n" + data_table + encoder_table + loss_table}},
             "e.toml:2:1: run.steps and run.epochs are both given; give one."},
        Case{"NoLoss", {{"e.toml", run_table + data_table + encoder_table}}, "e.toml:1:1: no [[loss]] is given."},
        Case{"LossWithoutName",
             {{"e.toml", run_table + data_table + encoder_table + "[[loss]]\ntemperature = 0.1\n"}},
             "e.toml:9:1: loss.name is missing."},
        Case{"UnknownLoss",
             {{"e.toml", run_table + data_table + encoder_table + "[[loss]]\nname = \"infonse\"\n"}},
             "e.toml:10:8: unknown loss 'infonse'. Known names: LOSSES. Did you mean 'infonce'?"},
        Case{"UnknownEncoder",
             {{"e.toml", run_table + data_table + "[encoder]\nname = \"small_cn\"\n" + loss_table}},
             "e.toml:8:8: unknown encoder 'small_cn'. Known names: ENCODERS. Did you mean 'small_cnn'?"},
        Case{"UnknownDataSet",
             {{"e.toml", run_table + "[data]\nname = \"fashion-mnist\"\n" + encoder_table + loss_table}},
             "e.toml:4:8: unknown data set 'fashion-mnist'. Known names: DATA_SETS. Did you mean 'fashion_mnist'?"},
        Case{"UnknownAugmentation",
             {{"e.toml", good + "[[augment]]\nname = \"solarise\"\n"}},
             "e.toml:12:8: unknown augmentation 'solarise'. Known names: AUGMENTATIONS. Did you mean 'solarize'?"},
        Case{"ATableThatIsAValue",
             {{"e.toml", "encoder = \"small_cnn\"\n" + run_table + data_table + loss_table}},
             "e.toml:1:11: encoder must be a table: [encoder]."},
        Case{"ExtendsGoesInACircle",
             {{"e.toml", "extends = \"base.toml\"\n" + good}, {"base.toml", "extends = \"e.toml\"\n"}},
             "base.toml:1:11: extends goes in a circle: e.toml -> base.toml -> e.toml."},
        Case{"ExtendsAMissingFile",
             {{"e.toml", "extends = \"../bases/bass.toml\"\n" + good}, {"bases/base.toml", good}},
             "e.toml:1:11: ../bases/bass.toml: no such file.",
             2},
        Case{"ExtendsAMissingFileNearAnother",
             {{"e.toml", "extends = \"bases/bass.toml\"\n" + good}, {"bases/base.toml", good}},
             "e.toml:1:11: bases/bass.toml: no such file. Did you mean 'bases/base.toml'?"},
        Case{"ErrorInTheBase",
             {{"e.toml", "extends = \"base.toml\"\n" + good}, {"base.toml", "[optimizer]\nlearning_rate = -1\n"}},
             "base.toml:2:17: optimizer.learning_rate = -1, allowed: a number > 0."},
        Case{"SweepOfNoList",
             {{"e.toml", good + "[sweep]\ngrid = { \"loss.temperature\" = 0.1 }\n"}},
             "e.toml:12:31: sweep.grid.loss.temperature = 0.1, allowed: a list of one or more values."},
        Case{"SweepOutOfRange",
             {{"e.toml", good + "[sweep]\ngrid = { \"loss.temperature\" = [-1] }\n"}},
             "e.toml:12:32: loss.temperature = -1, allowed: a number > 0."},
        Case{
            "SweepOfUnequalLengths",
            {{"e.toml", good + "[sweep]\nzip = { \"loss.temperature\" = [0.1, 0.2], \"run.steps\" = [1] }\n"}},
            "e.toml:12:56: sweep.zip.run.steps has 1 value but sweep.zip.loss.temperature has 2; lists in zip have equal lengths."},
        Case{"SweepOfNoSeeds",
             {{"e.toml", good + "[sweep]\nseeds = 0\n"}},
             "e.toml:12:9: sweep.seeds = 0, allowed: a count from 1 to 1000 or a list of integers >= 0."},
        Case{"AblateChecksTheLastTrialFirst",
             {{"e.toml", good + "[sweep]\ngrid = { \"loss.name\" = [\"infonce\", \"infonse\"] }\n"}},
             "e.toml:12:36: unknown loss 'infonse'. Known names: LOSSES. Did you mean 'infonce'?",
             2,
             {"ablate", "e.toml"}},
        Case{"TooFewViews",
             {{"e.toml", good + "[views]\ncount = 1\n"}},
             "e.toml:10:8: the loss 'infonce' needs at least 2 views, views.count = 1."},
        Case{"TooManyViews",
             {{"e.toml", run_table + data_table + encoder_table + "[[loss]]\nname = \"dcl\"\n[views]\ncount = 3\n"}},
             "e.toml:10:8: the loss 'dcl' needs 2 views, views.count = 3."},
        Case{"MoreFullViewsThanViews",
             {{"e.toml", good + "[views]\ncount = 2\nfull = 3\n"}},
             "e.toml:13:8: views.full = 3, allowed: an integer from 0 to 2, the views of views.count."},
        Case{"AnAugmentationOfAViewThatIsNot",
             {{"e.toml", good + "[[augment]]\nname = \"solarize\"\nviews = [0, 2]\n"}},
             "e.toml:13:13: augment.views[1] = 2, allowed: an integer from 0 to 1."},
        Case{"AQueueOfASmallCrop",
             {{"e.toml", run_table + data_table + encoder_table + "[[loss]]\nname = \"moco\"\n[views]\nfull = 1\n"}},
             "e.toml:10:8: the loss 'moco' needs view 1 at full size (they count from 0), views.full = 1."},
        Case{"AnOptionAboveAnother",
             {{"e.toml", run_table + data_table + encoder_table + "[[loss]]\nname = \"mochi\"\nqueue_length = 8\nhardest = 9\n"}},
             "e.toml:12:11: loss.hardest = 9, allowed: at most loss.queue_length = 8."},
        Case{"MomentumAboveOne",
             {{"e.toml", good + "[momentum]\nvalue = 1.5\n"}},
             "e.toml:12:9: momentum.value = 1.5, allowed: a number from 0 to 1."},
        Case{"BatchAboveTheDataSet",
             {{"e.toml", run_table + "[data]\nname = \"synthetic\"\nsamples = 32\nbatch_size = 33\n" + encoder_table + loss_table}},
             "e.toml:6:14: data.batch_size = 33, allowed: 1 to 32, the size of the training set."},
        Case{"SubsetAboveTheDataSet",
             {{"e.toml", run_table + data_table + "subset = 33\n" + encoder_table + loss_table}},
             "e.toml:7:10: data.subset = 33, allowed: 0 (all) to 32, the size of the training set."},
        Case{"DataWithoutPath",
             {{"e.toml", run_table + "[data]\nname = \"idx\"\n" + encoder_table + loss_table}},
             "e.toml:3:1: data.path is not given: the folder of the IDX files."}),
    name_of);

// ---- Data

std::string big_endian(uint32_t number) {
  return {static_cast<char>(number >> 24), static_cast<char>(number >> 16), static_cast<char>(number >> 8),
          static_cast<char>(number)};
}

// IDX files of `count` images of 2 x 2, and of their labels.
std::string idx_images(uint32_t count) {
  return std::string("\0\0\x08\x03", 4) + big_endian(count) + big_endian(2) + big_endian(2) + std::string(4 * count, '\x07');
}
std::string idx_labels(uint32_t count) { return std::string("\0\0\x08\x01", 4) + big_endian(count) + std::string(count, '\x01'); }

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
           big_endian(static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
  };
  const std::string rows(height * (1 + 3 * width), '\0');
  std::string packed(rows.size() + 100, '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  return std::string("\x89PNG\r\n\x1a\n") +
         chunk("IHDR" + big_endian(height == 0 ? 0 : width) + big_endian(height) + std::string("\x08\x02\0\0\0", 5)) +
         chunk("IDAT" + packed.substr(0, size)) + chunk("IEND");
}

// An experiment on IDX files in data/.
const std::string idx = run_table + "[data]\nname = \"idx\"\npath = \"data\"\nbatch_size = 2\n" + encoder_table + loss_table;
const std::string images = "data/train-images-idx3-ubyte", labels = "data/train-labels-idx1-ubyte";
const std::string folder =
    run_table + "[data]\nname = \"image_folder\"\npath = \"data\"\nbatch_size = 2\n" + encoder_table + loss_table;

std::map<std::string, std::string> idx_files(const std::string& train_images, const std::string& train_labels) {
  return {{"e.toml", idx},
          {images, train_images},
          {labels, train_labels},
          {"data/t10k-images-idx3-ubyte", idx_images(4)},
          {"data/t10k-labels-idx1-ubyte", idx_labels(4)}};
}

// Files without permissions stop the superuser too, once the programs started here are without its right to pass over them.
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
             "FOLDER/" + images + ": starts with 00 00 08 01, expected for images: 00 00 08 03 or 00 00 08 04.", 5},
        Case{"LabelCount", idx_files(idx_images(4), idx_labels(3)),
             "FOLDER/" + labels + ": 3 labels, but FOLDER/" + images + " holds 4 images.", 5},
        Case{"TruncatedGzip",
             {{"e.toml", idx}, {images + ".gz", gzipped(idx_images(4)).substr(0, 20)}, {labels, idx_labels(4)}},
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
        Case{"MissingFolder", {{"e.toml", idx}}, "FOLDER/" + images + ": cannot be opened: No such file or directory.", 5},
        Case{"MissingNamedSet",
             {{"e.toml", run_table + "[data]\nname = \"cifar10\"\n" + encoder_table + loss_table}},
             "cifar10: no data_batch_1.bin[.gz] in FOLDER/sets/cifar-10-batches-bin. To get it: unpack cifar-10-binary.tar.gz (the "
             "binary version) of the CIFAR page; or set data.path, or FOIL_DATA to the folder that holds cifar-10-batches-bin/.",
             5,
             {"train", "e.toml"},
             {},
             {"FOIL_DATA=FOLDER/sets"}},
        Case{"MissingImageFolder",
             {{"e.toml", folder}},
             "FOLDER/data/train: no such folder; if the class folders lie in data.path itself, set data.flat = true.",
             5},
        Case{"BrokenJpeg",
             {{"e.toml", folder}, {"data/train/a/1.png", png(3, 4)}, {"data/train/a/2.jpg", "\xff\xd8\xff and no more"}},
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
             "e.toml:4:8: the images of 'image_folder' differ in size: the first [[augment]] must bring them to one size "
             "(random_resized_crop).",
             2}),
    name_of);

// ---- Plugins

const std::string novel = run_table + data_table + encoder_table + "[[loss]]\nname = \"novel\"\n";
const std::string refused = "e.toml:10:8: unknown loss 'novel'. Known names: LOSSES.\nrefused: FOLDER/plugins/novel.so: ";

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
    ::testing::Values(plugin_case("NotElf", "a text", "is not a shared library (no ELF header)."),
                      plugin_case("Truncated", plugin_bytes().substr(0, plugin_bytes().size() / 2),
                                  "damaged: it ends before its own headers say."),
                      plugin_case("OtherAbi", replaced(plugin_bytes(), "torch 2.11.0 |", "torch 2.10.9 |"),
                                  "built for [" + replaced(FOIL_ABI, "torch 2.11.0", "torch 2.10.9") +
                                      "], this program is [" FOIL_ABI
                                      "]. Rebuild: cmake --build its build folder, against this foil."),
                      plugin_case("NoPlugin", "", "is a shared library but not a foil plugin (no FOIL_PLUGIN in it).",
                                  [](const Workplace& place) {
                                    std::filesystem::remove(place.folder / "plugins/novel.so");
                                    std::filesystem::create_symlink(FOIL_TEST_LIBRARY, place.folder / "plugins/novel.so");
                                  }),
                      plugin_case("OthersMayWrite", plugin_bytes(), "others may write this file. chmod o-w it, or say --trust.",
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
  return {
      name, {{"e.toml", good + "[model]\nweights = \"w.safetensors\"\n"}, {"w.safetensors", bytes}}, "w.safetensors: " + reason, 5};
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
        weights_case("HugeHeader", huge_header(), "header of 4611686018427387904 bytes, allowed: at most 100000000"),
        weights_case("NegativeOffset", safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4),
                     "tensor 'a' has -4 in data_offsets, allowed: integers >= 0"),
        weights_case("CutShort", safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4),
                     "tensor 'a' ends at byte 8 of 4 bytes of data: the file is cut short"),
        Case{"OtherNames",
             {{"e.toml", run_table + data_table + "[encoder]\nname = \"mlp\"\nwidths = [4]\nbatch_norm = false\n" + loss_table +
                             "[model]\nweights = \"w.safetensors\"\n"},
              {"w.safetensors", safetensors(R"({"layers.0.weigt":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4)}},
             "w.safetensors: the tensors do not fit:\n  missing: layers.0.bias [4]\n  missing: layers.0.weight [4, 3072]\n  "
             "unexpected: layers.0.weigt [1]. Did you mean 'layers.0.weight'?",
             5},
        Case{"Missing",
             {{"e.toml", good + "[model]\nweights = \"w.safetensors\"\n"}},
             "w.safetensors: cannot read: No such file or directory",
             5}),
    name_of);

// ---- Checkpoints

// A run of no step, and a change to it.
std::function<void(const Workplace&)> after_a_run(const std::function<void(const std::filesystem::path& run)>& change) {
  return [change](const Workplace& place) {
    ASSERT_EQ(place.foil({"train", "e.toml", "--quiet", "--set", "run.steps=0", "--set", "evaluate.linear=false"}).code, 0);
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
        Case{"Damaged",
             {{"e.toml", good}},
             "checkpoints/step-00000000: checksum differs; no older one to fall back to\nruns/run/seed0: has no checkpoint.",
             5,
             {"evaluate", "runs/run/seed0"},
             after_a_run([](const auto& run) { flip_a_byte(run / "checkpoints/step-00000000.safetensors"); })},
        Case{"DamagedAndNamed",
             {{"e.toml", good}},
             "runs/run/seed0/checkpoints/step-00000000: checksum differs",
             5,
             {"evaluate", "runs/run/seed0", "--checkpoint", "runs/run/seed0/checkpoints/step-00000000.safetensors"},
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
  const std::string reason = (place.folder / "data/train/a/2.png").string() + ": broken PNG: the file ends early.";
  EXPECT_EQ(outcome.err, reason + "\n");
  EXPECT_EQ(outcome.code, 5);
  EXPECT_NE(foil::slurp(place.folder / "runs/run/seed0/status").find("\"reason\":\"" + reason + "\""), std::string::npos);
}

}  // namespace
