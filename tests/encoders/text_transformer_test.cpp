// SPDX-License-Identifier: BSD-3-Clause
// The truth is PyTorch's transformer encoder with a padding mask, its weights seeded and renamed.
#include "encoders/text_transformer.cpp"

#include "model/weights.h"
#include "run/safetensors.h"
#include "tests/support/error_of.h"
#include "tests/support/run_python.h"

#include <gtest/gtest.h>

namespace {

using foil::test::error_of;

constexpr const char* kExport = R"(
import sys, torch
from safetensors.torch import save_file
torch.set_num_threads(1)
torch.manual_seed(4)
C, L = 12, 9
def layer():
    return torch.nn.TransformerEncoderLayer(C, 3, 24, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True)
model = torch.nn.TransformerEncoder(layer(), 2, norm=torch.nn.LayerNorm(C, 1e-6), enable_nested_tensor=False).double()
token_embed, pos_embed, cls_token = torch.randn(256, C), torch.randn(1, L, C), torch.randn(1, 1, C)
for parameter in model.parameters():
    parameter.data.copy_(torch.randn(parameter.shape) * 0.5)
weights = {"token_embed.weight": token_embed, "pos_embed": pos_embed, "cls_token": cls_token}
for name, t in model.state_dict().items():
    for old, new in [("layers.", "blocks."), ("self_attn.in_proj_", "attn.qkv."), ("self_attn.out_proj", "attn.proj"),
                     ("linear1", "mlp.fc1"), ("linear2", "mlp.fc2")]:
        name = name.replace(old, new)
    weights[name] = t.float()
save_file({name: t.contiguous() for name, t in weights.items()}, sys.argv[1] + "/weights.safetensors")
text, length = torch.randint(0, 256, (4, L)), torch.tensor([9, 4, 0, 1])
x = torch.cat([cls_token.expand(4, 1, C).double(), token_embed.double()[text] + pos_embed.double()], 1)
padding = torch.arange(L + 1) > length[:, None]
with torch.no_grad():
    h = model.eval()(x, src_key_padding_mask=padding)[:, 0]
save_file({"text": text, "length": length, "h": h.contiguous()}, sys.argv[1] + "/features.safetensors")
)";

TextTransformer::Options small() {
  TextTransformer::Options options;
  options.width = 12;
  options.depth = 2;
  options.heads = 3;
  options.mlp_ratio = 2;
  return options;
}

std::shared_ptr<TextTransformer> encoder(const TextTransformer::Options& options) {
  torch::manual_seed(5);
  auto net = std::make_shared<TextTransformer>(options);
  net->setup({.kind = foil::Kind::text, .length = 9, .vocabulary = 256});
  net->to(torch::kDouble);
  return net;
}

foil::View view_of(const Tensor& text, const Tensor& length) {
  foil::View view;
  view.kind = foil::Kind::text;
  view.data = text;
  view.length = length;
  return view;
}

TEST(TextTransformer, GivesWhatPyTorchsEncoderGivesBehindAPaddingMask) {
  const foil::test::TempFolder folder;
  foil::test::run_python(folder, kExport, folder.path());
  const auto net = encoder(small());
  EXPECT_TRUE(foil::load_weights(*net, foil::load_tensors(folder / "weights.safetensors").tensors, "weights")
                  .empty());
  const auto truth = foil::load_tensors(folder / "features.safetensors").tensors;
  net->eval();
  const foil::Features got = net->forward(view_of(truth.at("text"), truth.at("length")));
  EXPECT_LT((got.pooled - truth.at("h")).abs().max().item<double>(), 1e-10);
}

// What stands behind the end of a text, and how long its neighbours are, is nothing to it.
TEST(TextTransformer, LooksAtTheTokensThatCount) {
  for (const Pooling pooling : {Pooling::token, Pooling::mean}) {
    TextTransformer::Options options = small();
    options.pooling = pooling;
    const auto net = encoder(options);
    const Tensor text = torch::randint(0, 256, {3, 9}, torch::kLong);
    const Tensor length = torch::tensor({9, 3, 0}, torch::kLong);
    const Tensor whole = net->forward(view_of(text, length)).pooled;
    Tensor other = text.clone();
    other.slice(1, 3).fill_(7);
    const Tensor alone = net->forward(view_of(other.slice(0, 1), length.slice(0, 1))).pooled;
    EXPECT_LT((alone - whole.slice(0, 1)).abs().max().item<double>(), 1e-12);
    EXPECT_EQ(net->forward(view_of(text.slice(0, 0, 0), length.slice(0, 0, 0))).pooled.size(0), 0);
    (whole * torch::randn({3, 12}, torch::kDouble)).sum().backward();
    for (const auto& item : net->named_parameters())
      EXPECT_GT(item.value().grad().abs().max().item<double>(), 0) << item.key();
  }
}

TEST(TextTransformer, RefusesOtherDataAndLongerTexts) {
  EXPECT_EQ(error_of([] {
              TextTransformer(small()).setup({3, 8, 8});
            }),
            "2 text_transformer: the data is image, allowed: text.");
  EXPECT_EQ(
      error_of([] {
        encoder(small())->forward(view_of(torch::zeros({2, 10}, torch::kLong), {}));
      }),
      "1 text_transformer: the view is [2, 10] of long int, allowed: tokens [B, L] of int64, L up to 9.");
}

}  // namespace
