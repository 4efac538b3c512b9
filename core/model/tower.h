// SPDX-License-Identifier: BSD-3-Clause
// Tower: encoder + projection head (+ predictor), from views to features h, projections z and predictions p.
// It normalises none of them and knows no loss.
#pragma once

#include <foil/encoder.h>
#include <foil/fields.h>
#include <foil/ranks.h>

#include <torch/nn/modules/container/sequential.h>

#include <memory>
#include <string>
#include <vector>

namespace foil {

// What an encoder of samples of this shape is built for.
EncoderSizes encoder_sizes(const Shape& shape);

struct HeadOptions {
  enum class Kind { nonlinear, linear, cosine, none };
  enum class Activation { relu, gelu };
  Kind kind = Kind::nonlinear;
  std::vector<int64_t> dims = {128, 128};
  bool batch_norm = true;
  bool last_batch_norm = false;
  Activation activation = Activation::relu;
  int64_t frozen_epochs = 0;
  void describe(Fields& f);
  // Throws Error (Exit::usage) for options that do not fit together, under the name of their table.
  void check(const std::string& table = "head") const;
};

struct PredictorOptions {
  std::vector<int64_t> hidden = {512};
  bool batch_norm = true;
  void describe(Fields& f);
};

struct ModelOptions {
  enum class BatchNorm { all_views, per_view };
  BatchNorm batch_norm = BatchNorm::all_views;
  std::string weights;
  bool frozen = false;
  double learning_rate_factor = 1;
  void describe(Fields& f);
};

// Parameters are called encoder.* (the encoder's published names), head.N.* and predictor.N.* (N counts
// linear layers, norms and activations). The head is the non-linear one of SimCLR (Chen et al., 2020,
// section 2.1, z = W2 relu(W1 h)), with batch norm after each hidden layer; a linear layer in front of a
// batch norm has no bias. A cosine head ends in the cosines of what its layers give with the directions of a
// last weight: the bottleneck and weight-normed last layer of Caron et al., "DINO", 2021, appendix C.
class Tower : public torch::nn::Module {
 public:
  // The encoder has been set up; here it gets its weights, when ModelOptions names a file. `kind`: of its
  // views.
  Tower(std::shared_ptr<Encoder> encoder, HeadOptions head, ModelOptions model, Kind kind = Kind::image);

  struct Output {
    std::vector<Tensor> h;  // V x [B_v, F]
    std::vector<Tensor> z;  // V x [B_v, D], as the head gives it; h itself without a head
    std::vector<Tensor>
        p;  // V x [B_v, D], as the predictor gives it; empty without a predictor and in evaluation
    // V x [B_v, ...], what the encoder decodes; undefined for a view of which it decodes nothing, empty where
    // it decodes none.
    std::vector<Tensor> decoded = {};
  };
  // A predictor, from z to D: hidden layers as the head's and a last linear one (Grill et al., "BYOL", 2020,
  // section 3.2).
  void add_predictor(const PredictorOptions& options);
  // Batch norm over all views: views of equal modality and shape run as one batch, as in SimCLR; per view:
  // one by one, as in MoCo and BYOL, and as graphs always. With bf16_autocast all parts run under autocast
  // and the outputs are fp32.
  Output forward(const Views& views, bool bf16_autocast = false);

  int64_t feature_dim() const { return encoder_->feature_dim(); }  // F
  int64_t z_dim() const { return z_dim_; }                         // D
  double learning_rate_factor() const { return options_.learning_rate_factor; }
  int64_t frozen_epochs() const { return frozen_epochs_; }  // HeadOptions::frozen_epochs
  // What of the file of ModelOptions::weights is not the encoder's, by name.
  const std::vector<std::string>& weights_left_out() const { return left_out_; }
  const std::string& weights() const { return options_.weights; }  // ModelOptions::weights
  Encoder& encoder() const { return *encoder_; }
  // Whether every rank gives it all samples, as it does a graph, so that batch statistics are whole as they
  // are.
  bool sees_all() const { return kind_ == Kind::graph; }

  // Between backward and the optimizer's step, where HeadOptions::frozen_epochs asks for it: the head's last
  // layer (of a cosine head its directions) gets no gradient, so that neither the step nor weight decay moves
  // it.
  void freeze_last_layer();

  // A frozen encoder stays in evaluation mode.
  void train(bool on = true) override;

 private:
  void build_head(const HeadOptions& options);

  std::shared_ptr<Encoder> encoder_;
  torch::nn::Sequential head_{nullptr}, predictor_{nullptr};
  std::vector<Tensor> last_layer_;  // the parameters of the head's last layer
  ModelOptions options_;
  Kind kind_;
  int64_t z_dim_, frozen_epochs_;
  std::vector<std::string> left_out_;
};

// Gives the ranks to every foil::BatchNorm below `module`, but for a tower that sees all samples. Throws
// Error (Exit::usage), naming the part, for a torch::nn::BatchNorm, whose statistics would be those of one
// rank.
void share_ranks(torch::nn::Module& module, std::shared_ptr<Ranks> ranks);

}  // namespace foil
