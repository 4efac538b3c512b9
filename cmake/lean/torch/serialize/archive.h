// SPDX-License-Identifier: BSD-3-Clause
// Stands in for LibTorch's header of this name while this tree is built: torch/nn/module.h takes its archives
// by reference and, through them, all of TorchScript, which no file here uses and every file would compile.
#pragma once

namespace torch::serialize {
class InputArchive;
class OutputArchive;
}  // namespace torch::serialize
