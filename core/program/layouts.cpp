// SPDX-License-Identifier: BSD-3-Clause
// What torchvision and timm call the parts of their encoders, and of what shape these are.
#include "program/layouts.h"

#include <foil/error.h>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <sstream>

namespace foil {
namespace {

using Shapes = std::map<std::string, std::vector<int64_t>>;

[[noreturn]] void no_fit(const std::string& reason) { throw Error(reason, Exit::usage); }

// Throws where the tensors are not those of `want`, saying which.
void require_same(const EncoderRecord& encoder, const Shapes& want) {
  for (const auto& [name, shape] : want) {
    const auto at = encoder.tensors.find(name);
    if (at == encoder.tensors.end()) no_fit("it has no tensor " + name);
    if (at->second.sizes() == shape) continue;
    std::ostringstream text;
    text << name << " is " << at->second.sizes() << ", there " << at::IntArrayRef(shape);
    no_fit(text.str());
  }
  for (const auto& [name, tensor] : encoder.tensors)
    if (!want.contains(name)) no_fit("it has a tensor " + name);
}

const at::Tensor& required(const EncoderRecord& encoder, const std::string& name, int64_t dims) {
  const auto at = encoder.tensors.find(name);
  if (at == encoder.tensors.end()) no_fit("it has no tensor " + name);
  if (at->second.dim() != dims)
    no_fit(fmt::format("{} has {} sizes, there {}", name, at->second.dim(), dims));
  return at->second;
}

// How many of PREFIX0SUFFIX, PREFIX1SUFFIX, ... there are.
int64_t counted(const EncoderRecord& encoder, const std::string& prefix, const std::string& suffix) {
  int64_t count = 0;
  while (encoder.tensors.contains(prefix + std::to_string(count) + suffix)) ++count;
  return count;
}

std::string precision(const EncoderRecord& encoder) {
  const bool wide = std::any_of(encoder.tensors.begin(), encoder.tensors.end(),
                                [](const auto& one) { return one.second.scalar_type() == at::kDouble; });
  return wide ? "model.double()\n" : "";
}

// ---- torchvision

struct Net {
  const char* name;
  bool bottleneck;
  std::vector<int64_t> blocks;  // of the four stages
};
const std::vector<Net> kNets = {{"resnet18", false, {2, 2, 2, 2}},
                                {"resnet34", false, {3, 4, 6, 3}},
                                {"resnet50", true, {3, 4, 6, 3}},
                                {"resnet101", true, {3, 4, 23, 3}},
                                {"resnet152", true, {3, 8, 36, 3}}};

void add_norm(Shapes& shapes, const std::string& name, int64_t channels) {
  for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"})
    shapes[name + part] = {channels};
  shapes[name + ".num_batches_tracked"] = {};
}

// Without the classifier fc; `stem`: the side of the first kernel.
Shapes shapes_of(const Net& net, int64_t channels, int64_t stem) {
  Shapes shapes = {{"conv1.weight", {64, channels, stem, stem}}};
  add_norm(shapes, "bn1", 64);
  int64_t in = 64;
  for (size_t stage = 0; stage < net.blocks.size(); ++stage) {
    const int64_t width = int64_t{64} << stage, out = net.bottleneck ? 4 * width : width;
    for (int64_t block = 0; block < net.blocks[stage]; ++block) {
      const std::string place = fmt::format("layer{}.{}.", stage + 1, block);
      const auto add = [&](const std::string& number, int64_t from, int64_t to, int64_t kernel) {
        shapes[place + "conv" + number + ".weight"] = {to, from, kernel, kernel};
        add_norm(shapes, place + "bn" + number, to);
      };
      add("1", in, width, net.bottleneck ? 1 : 3);
      add("2", width, width, 3);
      if (net.bottleneck) add("3", width, out, 1);
      if (block == 0 && (in != out || stage > 0)) {
        shapes[place + "downsample.0.weight"] = {out, in, 1, 1};
        add_norm(shapes, place + "downsample.1", out);
      }
      in = out;
    }
  }
  return shapes;
}

Layout torchvision(const EncoderRecord& encoder) {
  const int64_t channels = required(encoder, "conv1.weight", 4).size(1);
  std::vector<int64_t> blocks;
  for (const char* stage : {"layer1.", "layer2.", "layer3.", "layer4."})
    blocks.push_back(counted(encoder, stage, ".conv1.weight"));
  const bool bottleneck = encoder.tensors.contains("layer1.0.conv3.weight");
  const auto net = std::find_if(kNets.begin(), kNets.end(), [&](const Net& one) {
    return one.bottleneck == bottleneck && one.blocks == blocks;
  });
  if (net == kNets.end()) no_fit("its stages are those of no torchvision.models.resnet");
  const Node* option = encoder.options.find("small_images");
  const bool small = option && option->is_flag() && option->flag();
  require_same(encoder, shapes_of(*net, channels, small ? 3 : 7));
  std::string python = fmt::format(
      "import torch, torchvision\nfrom safetensors.torch import load_file\n\n"
      "model = torchvision.models.{}(weights=None)\n",
      net->name);
  if (small || channels != 3)
    python += fmt::format("model.conv1 = torch.nn.Conv2d({}, 64, {}, bias=False)\n", channels,
                          small ? "3, stride=1, padding=1" : "7, stride=2, padding=3");
  if (small) python += "model.maxpool = torch.nn.Identity()\n";
  python += "model.fc = torch.nn.Identity()\n" + precision(encoder) +
            "model.load_state_dict(load_file(\"model.safetensors\"))\nmodel.eval()\n";
  return {
      "torchvision", {{"architecture", net->name}, {"small_images", small}, {"channels", channels}}, python};
}

// ---- timm

// The ratio of which int(width * ratio) is `hidden`, as timm counts.
double ratio_of(int64_t hidden, int64_t width) {
  const double ratio = static_cast<double>(hidden) / static_cast<double>(width);
  if (static_cast<int64_t>(static_cast<double>(width) * ratio) == hidden) return ratio;
  return (static_cast<double>(hidden) + 0.5) / static_cast<double>(width);
}

Layout timm(const EncoderRecord& encoder) {
  const at::Tensor& patches = required(encoder, "patch_embed.proj.weight", 4);
  const int64_t width = patches.size(0), channels = patches.size(1), side = patches.size(2);
  const int64_t depth = counted(encoder, "blocks.", ".mlp.fc1.weight");
  if (side == 0) no_fit("its patches are empty");
  if (depth == 0) no_fit("it has no tensor blocks.0.mlp.fc1.weight");
  const int64_t hidden = required(encoder, "blocks.0.mlp.fc1.weight", 2).size(0);
  const Node* heads = encoder.options.find("heads");
  if (!heads || !heads->is_integer() || heads->integer() < 1 || width % heads->integer() != 0)
    no_fit("its experiment does not say how many heads it has");
  if (encoder.input.size() != 3)
    no_fit("its checkpoint, of an older foil or not of images, does not say how large these are");
  const int64_t rows = encoder.input[1] / side, columns = encoder.input[2] / side;
  const bool token = encoder.tensors.contains("cls_token");
  Shapes shapes = {{"patch_embed.proj.weight", {width, channels, side, side}},
                   {"patch_embed.proj.bias", {width}},
                   {"pos_embed", {1, rows * columns + (token ? 1 : 0), width}}};
  if (token) shapes["cls_token"] = {1, 1, width};
  const auto add = [&](const std::string& name, int64_t out, int64_t in) {
    shapes[name + ".weight"] = in == 0 ? std::vector<int64_t>{out} : std::vector<int64_t>{out, in};
    shapes[name + ".bias"] = {out};
  };
  for (int64_t block = 0; block < depth; ++block) {
    const std::string place = fmt::format("blocks.{}.", block);
    add(place + "norm1", width, 0);
    add(place + "attn.qkv", 3 * width, width);
    add(place + "attn.proj", width, width);
    add(place + "norm2", width, 0);
    add(place + "mlp.fc1", hidden, width);
    add(place + "mlp.fc2", width, hidden);
  }
  add(token ? "norm" : "fc_norm", width, 0);
  require_same(encoder, shapes);
  const nlohmann::json arguments = {{"img_size", {encoder.input[1], encoder.input[2]}},
                                    {"patch_size", side},
                                    {"in_chans", channels},
                                    {"num_classes", 0},
                                    {"global_pool", token ? "token" : "avg"},
                                    {"class_token", token},
                                    {"embed_dim", width},
                                    {"depth", depth},
                                    {"num_heads", heads->integer()},
                                    {"mlp_ratio", ratio_of(hidden, width)}};
  return {"timm",
          {{"architecture", "VisionTransformer"}, {"model_args", arguments}},
          "import json, timm\nfrom safetensors.torch import load_file\n\n"
          "config = json.load(open(\"config.json\"))\n"
          "model = timm.models.VisionTransformer(**config[\"model_args\"])\n" +
              precision(encoder) + "model.load_state_dict(load_file(\"model.safetensors\"))\nmodel.eval()\n"};
}

// ---- foil's own names

Layout own(const EncoderRecord&) {
  return {"safetensors", nlohmann::json::object(),
          "from safetensors.torch import load_file\n\n"
          "tensors = load_file(\"model.safetensors\")  # by the names of foil's encoder\n"};
}

const std::vector<std::pair<std::string, Layout (*)(const EncoderRecord&)>> kLayouts = {
    {"torchvision", torchvision}, {"timm", timm}, {"safetensors", own}};

}  // namespace

Layout layout_of(const EncoderRecord& encoder, const std::string& asked) {
  std::vector<std::string> known;
  std::optional<Layout> first;
  std::string reason, fitting;
  for (const auto& [name, make] : kLayouts) {
    known.push_back(name);
    try {
      Layout layout = make(encoder);
      if (asked == name) return layout;
      fitting += (fitting.empty() ? "" : ", ") + name;
      if (!first) first = std::move(layout);
    } catch (const Error& error) {
      if (asked == name) reason = error.what();
    }
  }
  if (asked.empty()) return *first;
  if (reason.empty())
    fail(Exit::usage, "--layout ", asked, ": no such layout.", known_names("layouts", asked, known));
  fail(Exit::usage, "--layout ", asked, ": the encoder is none of that: ", reason,
       ". Layouts that fit: ", fitting, ".");
}

}  // namespace foil
