// SPDX-License-Identifier: BSD-3-Clause
// Heads from their options, and one pass of all views through encoder, head and predictor.
#include "model/tower.h"

#include "api/wide.h"
#include "model/weights.h"
#include "run/safetensors.h"

#include <foil/batch_norm.h>
#include <foil/loss.h>

#include <ATen/autocast_mode.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace foil {
namespace {

// bf16 autocast on one kind of device for as long as it lives; then the cache of cast weights is cleared.
class Autocast {
 public:
  Autocast(at::DeviceType device, bool on)
      : device_(device),
        enabled_(at::autocast::is_autocast_enabled(device)),
        dtype_(at::autocast::get_autocast_dtype(device)) {
    at::autocast::increment_nesting();
    at::autocast::set_autocast_enabled(device_, on);
    if (on) at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  }
  ~Autocast() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, enabled_);
    at::autocast::set_autocast_dtype(device_, dtype_);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool enabled_;
  at::ScalarType dtype_;
};

bool fit_together(const View& a, const View& b) {
  return a.kind != Kind::graph && a.modality == b.modality &&
         a.data.sizes().slice(1) == b.data.sizes().slice(1) && a.length.defined() == b.length.defined() &&
         a.params.defined() == b.params.defined() && a.key.defined() == b.key.defined();
}

View concatenate(const Views& views, const std::vector<size_t>& which) {
  if (which.size() == 1) return views[which[0]];
  const auto joined = [&](Tensor View::*part) {
    std::vector<Tensor> parts;
    for (size_t v : which) parts.push_back(views[v].*part);
    return parts[0].defined() ? torch::cat(parts) : Tensor();
  };
  View all;
  all.modality = views[which[0]].modality;
  all.kind = views[which[0]].kind;
  all.data = joined(&View::data);
  all.length = joined(&View::length);
  all.params = joined(&View::params);
  all.key = joined(&View::key);
  return all;
}

// The cosines of x with the rows of a weight: [B, in] -> [B, out]. A linear layer without bias whose input
// and rows are unit norm.
class Cosine final : public torch::nn::Module {
 public:
  Cosine(int64_t in, int64_t out) : weight_(register_parameter("weight", torch::empty({out, in}))) {
    torch::nn::init::kaiming_uniform_(weight_, std::sqrt(5.0));  // as a linear layer
  }
  Tensor forward(const Tensor& x) { return torch::matmul(unit(x), unit(weight_).t()); }

 private:
  Tensor weight_;
};

void add_activation(torch::nn::Sequential& layers, HeadOptions::Activation activation) {
  if (activation == HeadOptions::Activation::gelu) {
    layers->push_back(torch::nn::GELU());
  } else {
    layers->push_back(torch::nn::ReLU(torch::nn::ReLUOptions(/*inplace=*/true)));
  }
}

// A linear layer, and a batch norm; returns the width.
int64_t add_layer(torch::nn::Sequential& layers, int64_t in, int64_t out, bool batch_norm) {
  layers->push_back(torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(!batch_norm)));
  if (batch_norm) layers->push_back(BatchNorm(out));
  return out;
}

}  // namespace

EncoderSizes encoder_sizes(const Shape& shape) {
  const auto at = [&](size_t i) { return i < shape.sizes.size() ? shape.sizes[i] : 0; };
  if (shape.kind == Kind::text) return {.kind = shape.kind, .length = at(0), .vocabulary = shape.range};
  if (shape.kind == Kind::audio && shape.sizes.size() == 1) return {.kind = shape.kind, .length = at(0)};
  return {at(0), at(1), at(2), shape.kind};
}

void HeadOptions::describe(Fields& f) {
  f.choice("kind", kind,
           {{"nonlinear", Kind::nonlinear},
            {"linear", Kind::linear},
            {"cosine", Kind::cosine},
            {"none", Kind::none}},
           "the projection head: hidden layers and a last one; the last one alone; the layers, then cosines "
           "with directions; z = h");
  f.integers("dims", dims, "widths of the layers; the last one is the width of z", between(1, 1e6));
  f.flag("batch_norm", batch_norm, "batch norm after each hidden layer");
  f.flag("last_batch_norm", last_batch_norm,
         "batch norm after the last layer (of cosine: the one before the cosines)");
  f.choice("activation", activation, {{"relu", Activation::relu}, {"gelu", Activation::gelu}},
           "after each hidden layer");
  f.integer("frozen_epochs", frozen_epochs, "in the first so many epochs the last layer does not learn",
            at_least(0));
}

void HeadOptions::check(const std::string& table) const {
  if (kind == Kind::none && frozen_epochs > 0)
    refuse(table + ".frozen_epochs", frozen_epochs, "0 without a head");
  if (kind != Kind::none && dims.empty()) refuse(table + ".dims", "[]", "a list of one or more widths");
}

void PredictorOptions::describe(Fields& f) {
  f.integers("hidden", hidden, "widths of the hidden layers between z and a prediction of its width",
             between(1, 1e6));
  f.flag("batch_norm", batch_norm, "batch norm after each hidden layer");
}

void ModelOptions::describe(Fields& f) {
  f.choice("batch_norm", batch_norm, {{"all_views", BatchNorm::all_views}, {"per_view", BatchNorm::per_view}},
           "whether batch statistics are taken over all views together or view by view");
  f.path("weights", weights, "a safetensors file with the encoder's weights under their published names");
  f.flag("frozen", frozen, "the encoder does not learn and stays in evaluation mode");
  f.number("learning_rate_factor", learning_rate_factor, "times the learning rate for encoder and head",
           at_least(0));
}

Tower::Tower(std::shared_ptr<Encoder> encoder, HeadOptions head, ModelOptions model, Kind kind)
    : encoder_(register_module("encoder", std::move(encoder))),
      options_(std::move(model)),
      kind_(kind),
      z_dim_(encoder_->feature_dim()),
      frozen_epochs_(head.frozen_epochs) {
  if (!options_.weights.empty())
    left_out_ = load_weights(*encoder_, load_tensors(options_.weights).tensors, options_.weights);
  head.check();
  if (head.kind != HeadOptions::Kind::none) build_head(head);
  if (options_.frozen) {
    for (Tensor& parameter : encoder_->parameters()) parameter.requires_grad_(false);
    encoder_->eval();
  }
}

void Tower::build_head(const HeadOptions& options) {
  head_ = register_module("head", torch::nn::Sequential());
  const bool cosine = options.kind == HeadOptions::Kind::cosine;
  const std::vector<int64_t> dims(
      options.kind == HeadOptions::Kind::linear ? options.dims.end() - 1 : options.dims.begin(),
      options.dims.end() - (cosine ? 1 : 0));  // of the linear layers
  for (size_t i = 0; i < dims.size(); ++i) {
    const bool last = i + 1 == dims.size();
    const size_t layer = head_->size();
    z_dim_ = add_layer(head_, z_dim_, dims[i], last ? options.last_batch_norm : options.batch_norm);
    last_layer_ = head_->ptr(layer)->parameters();
    if (!last) add_activation(head_, options.activation);
  }
  if (cosine) {
    head_->push_back(Cosine(z_dim_, options.dims.back()));
    last_layer_ = head_->ptr(head_->size() - 1)->parameters();
    z_dim_ = options.dims.back();
  }
}

void Tower::add_predictor(const PredictorOptions& options) {
  predictor_ = register_module("predictor", torch::nn::Sequential());
  int64_t width = z_dim_;
  for (const int64_t hidden : options.hidden) {
    width = add_layer(predictor_, width, hidden, options.batch_norm);
    add_activation(predictor_, HeadOptions::Activation::relu);
  }
  add_layer(predictor_, width, z_dim_, /*batch_norm=*/false);
}

Tower::Output Tower::forward(const Views& views, bool bf16_autocast) {
  const bool predict = !predictor_.is_empty() && is_training();
  Output out{std::vector<Tensor>(views.size()), std::vector<Tensor>(views.size()), {}};
  if (predict) out.p.resize(views.size());
  std::vector<std::vector<size_t>> batches;  // the views that run together
  for (size_t v = 0; v < views.size(); ++v) {
    const auto mates = std::find_if(batches.begin(), batches.end(), [&](const std::vector<size_t>& batch) {
      return options_.batch_norm == ModelOptions::BatchNorm::all_views &&
             fit_together(views[batch[0]], views[v]);
    });
    if (mates == batches.end()) {
      batches.push_back({v});
    } else {
      mates->push_back(v);
    }
  }
  for (const std::vector<size_t>& batch : batches) {
    std::vector<int64_t> sizes;
    for (size_t v : batch) sizes.push_back(views[v].size());
    View together = concatenate(views, batch);
    if (!encoder_->is_training()) together.key.reset();  // a frozen encoder draws nothing
    Tensor h, z, p, decoded;
    {
      const Autocast autocast(together.data.device().type(), bf16_autocast);
      const Features features = encoder_->forward(together);
      h = features.pooled;
      decoded = features.decoded;
      z = head_.is_empty() ? h : head_->forward(h);
      if (predict) p = predictor_->forward(z);
    }
    const auto hand_out = [&](const Tensor& rows, std::vector<Tensor>& to) {
      const std::vector<Tensor> parts = at_least_fp32(rows).split_with_sizes(sizes);
      for (size_t i = 0; i < batch.size(); ++i) to[batch[i]] = parts[i];
    };
    hand_out(h, out.h);
    hand_out(z, out.z);
    if (predict) hand_out(p, out.p);
    if (!decoded.defined()) continue;
    out.decoded.resize(views.size());
    hand_out(decoded, out.decoded);
  }
  return out;
}

void Tower::freeze_last_layer() {
  for (Tensor& parameter : last_layer_) parameter.mutable_grad().reset();
}

void Tower::train(bool on) {
  Module::train(on);
  if (options_.frozen) encoder_->eval();
}

void share_ranks(torch::nn::Module& module, std::shared_ptr<Ranks> ranks) {
  if (const auto* tower = dynamic_cast<const Tower*>(&module); tower && tower->sees_all()) ranks = nullptr;
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    torch::nn::Module* part = item.value().get();
    if (auto* norm = dynamic_cast<BatchNorm*>(part)) norm->set_ranks(ranks);
    if (dynamic_cast<torch::nn::BatchNorm1dImpl*>(part) || dynamic_cast<torch::nn::BatchNorm2dImpl*>(part) ||
        dynamic_cast<torch::nn::BatchNorm3dImpl*>(part)) {
      fail(Exit::usage, item.key(), " is a ", part->name(),
           ", allowed: foil::BatchNorm, whose statistics are those of all ranks.");
    }
  }
}

}  // namespace foil
