// SPDX-License-Identifier: BSD-3-Clause
// Numbers that cannot be meant, options that contradict each other, and files that would end the process:
// each is a sentence with a place, soon.
#include "bad_input.h"

namespace {

std::string with_run(const std::string& line) {
  return "[run]\n" + line + "\n" + data_table + encoder_table + loss_table;
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

const std::string ten = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]";

INSTANTIATE_TEST_SUITE_P(
    Numbers, BadInput,
    ::testing::Values(
        Case{"TheLargestEpochs",
             {{"e.toml", with_run("epochs = 9223372036854775807")}},
             "e.toml:2:10: run.epochs = 9223372036854775807, allowed: an integer from 0 to 1000000000."},
        Case{"EpochsOfTooManySteps",
             {{"e.toml", with_run("epochs = 1000000000")}},
             "e.toml:2:10: run.epochs = 1000000000, allowed: 0 to 250000000, as an epoch has 4 steps."},
        Case{"ThreadsThatNoMachineHas",
             {{"e.toml", with_run("threads = 4294967297")}},
             "e.toml:2:11: run.threads = 4294967297, allowed: an integer from 0 to 1024."},
        Case{"ATimeoutWithoutAnEndOnTwoRanks",
             {{"e.toml", with_run("timeout = inf")}},
             "e.toml:2:11: run.timeout = inf, allowed: a finite number from 1 to 1000000.",
             2,
             {"train", "e.toml", "--nproc", "2"}},
        Case{"AQueueThatNoMemoryHolds",
             {{"e.toml", run_table + data_table + encoder_table +
                             "[[loss]]\nname = \"moco\"\nqueue_length = 2000000000\n"}},
             "e.toml:11:16: loss.queue_length = 2000000000, allowed: an integer from 1 to 1000000000."},
        Case{"FiveListsOfTenAndAHundredSeeds",
             {{"e.toml", good + "[sweep]\nseeds = 100\ngrid = { a = " + ten + ", b = " + ten +
                             ", c = " + ten + ", d = " + ten + ", e = " + ten + " }\n"}},
             "e.toml:11:1: [sweep] asks for 10 x 10 x 10 x 10 x 10 x 100 seeds = 10000000 trials, allowed: "
             "at most 10000.",
             2,
             {"ablate", "e.toml", "--dry-run"}}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Options, BadInput,
    ::testing::Values(
        Case{"AConflictOfAScoredLoss",
             {},
             "--set hardest=9: loss.hardest = 9, allowed: at most queue_length = 8.",
             2,
             {"score", "mochi", "z.safetensors", "--set", "queue_length=8", "--set", "hardest=9"}},
        Case{"AnEvenKernel",
             {{"e.toml", good + "[[augment]]\nname = \"gaussian_blur\"\nkernel_size = 4\n"}},
             "e.toml:13:15: augment.kernel_size = 4, allowed: an odd number."},
        Case{"AKernelWiderThanTheImage",
             {{"e.toml", good + "[[augment]]\nname = \"gaussian_blur\"\nkernel_size = 101\n"}},
             "e.toml:13:15: augment.kernel_size = 101, allowed: "
             "an odd number below 64, twice the image side."},
        Case{"NoWidths",
             {{"e.toml",
               run_table + data_table + "[encoder]\nname = \"small_cnn\"\nwidths = []\n" + loss_table}},
             "e.toml:9:10: encoder.widths = [], allowed: a list of one or more widths."},
        Case{"OneBetaIsRefusedByAblateBeforeAFolderIsMade",
             {{"e.toml", good + "[optimizer]\nname = \"adam\"\nbetas = [0.9]\n[sweep]\nseeds = 2\n"}},
             "e.toml:13:9: optimizer.betas = [0.9], allowed: a list of 2 numbers.",
             2,
             {"ablate", "e.toml"}},
        Case{"OneClass",
             {{"e.toml", run_table + data_table + "classes = 1\n" + encoder_table + loss_table}},
             "e.toml:1:1: evaluate.linear = true, allowed: false, as the data set has one class."},
        Case{"MoreNeighboursThanSamples",
             {{"e.toml", good + "[evaluate]\nneighbours = 33\n"}},
             "e.toml:12:14: evaluate.neighbours = 33, allowed: "
             "1 to 32, the samples with a label in the train split."},
        Case{"ARunNameThatLeavesItsFolder",
             {{"e.toml", with_run("name = \"../../x\"")}},
             "e.toml:2:8: run.name = \"../../x\", allowed: the name of a folder: "
             "at most 100 bytes, the first a letter, digit or '_', without '/' and control characters."},
        Case{"TwoNamesOfOneStudy",
             {{"e.toml", good + "[sweep]\ngrid = { \"run.name\" = [\"a\", \"b\"] }\n"}},
             "e.toml:12:10: sweep.grid.run.name: the trials of a study lie in one folder.",
             2,
             {"ablate", "e.toml"}},
        Case{"AnEncoderThatDoesNotTakeTheData",
             {{"e.toml", run_table + data_table + "features = 4\n" + encoder_table + loss_table}},
             "e.toml:9:8: small_cnn: the data is vector of length 4, allowed: images or spectrograms "
             "[C, H, W]."}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Files, BadInput,
    ::testing::Values(
        Case{"ThreeBrackets", {{"e.toml", "[[["}}, "e.toml:1:3: not valid TOML: [ cannot stand here."},
        Case{"AKeyOfSixtyThousandParts",
             {{"e.toml", "[run]\n" + repeated("a.", 59'999) + "a = 1\n"}},
             "e.toml:2:64: a key of more than 32 parts, allowed: at most 32."},
        Case{"AnOverrideOfSixtyThousandParts",
             {{"e.toml", good}},
             "--set " + repeated("a.", 29'999) + "a=1: a key of more than 32 parts, allowed: at most 32.",
             2,
             {"train", "e.toml", "--set", repeated("a.", 29'999) + "a=1"}},
        Case{"AnOptionOfALossAsDeepAsThat",
             {},
             "--set temperature=" + repeated("[", 40) + ": VALUE is not valid TOML.",
             2,
             {"score", "infonce", "z.safetensors", "--set", "temperature=" + repeated("[", 40)}}),
    name_of);

}  // namespace
