// SPDX-License-Identifier: BSD-3-Clause
// gCooL: nodes of a graph contrasted one by one, and with communities that are learned on the way.
// Li, Jing and Tong, "Graph communal contrastive learning", WWW 2022: dense community aggregation (DeCA) and
// reweighted self-supervised cross-contrastive training (ReSC).
//
//   nodes       = mean over i of - log softmax over j of <z_1i, z_2j> / temperature, at i
//   R_v         = softmax over k of s(z_vi, c_k), c the unit rows of the parameter `centres`
//   F_v         = R_v^T A_v R_v, A_v(i,j) = 1 where the view has an edge from i to j
//   density     = mean over v of ( between_weight sum(F_v) - (N - 1 + between_weight) trace(F_v) )
//                                / (N (N - 1)) + trace(R_v^T R_v) / (2 N)
//   b_vi        = argmax over k of R_v, m_vk = mean of z_v over the nodes of community k (0 of none)
//   communities = mean over i of - log( exp s(z_1i, m_2b) / sum over k of w(b,k) exp s(z_1i, m_2k) ),
//                                b = b_2i
//   w(k,l)      = exp(-community_decay ||m_k - m_l||^2), 1 for k = l
//   a(e)        = max(0, 1 - e / (communal_share stride_epochs)), c(e) = exp(-e / stride_epochs), e the epoch
//   L           = nodes + a ( c density + (1 - c) communities )
//
// z is unit norm. s is the product / temperature, or -||x - y||^2 / temperature^2 (similarity = "gaussian").
// Nodes and communities are the mean of both directions, as the paper; directions = "first" takes nodes of
// view 1 alone, as published code, which overwrites the second direction with the first. The density teaches
// only the centres, communities and nodes only the embeddings: R is of constant z, the means are constants.
// Published code never sets the weights w in its runs: community_decay = 0. It holds A as a dense matrix;
// here traces are sums over edges and nodes meet in blocks, so that memory is linear.
//
//   [[loss]]
//   name = "gcool"
//   temperature = 0.3
//   communities = 8
#include "node_rows.h"
#include "view_contrast.h"

#include <foil/plugin.h>

namespace {

using foil::LossInput;
using foil::Tensor;

class GCooL final : public foil::Loss {
 public:
  enum class Similarity { dot, gaussian };
  enum class Directions { mean, first };
  struct Options {
    double temperature = 0.4;
    int64_t communities = 10;
    Similarity similarity = Similarity::dot;
    double between_weight = 1;
    double community_decay = 8e-5;
    int64_t stride_epochs = 500;
    double communal_share = 0.2;
    Directions directions = Directions::mean;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
      f.integer("communities", communities, "how many (K)", foil::between(1, 1e6));
      f.choice("similarity", similarity, {{"dot", Similarity::dot}, {"gaussian", Similarity::gaussian}},
               "of a node and a community: product or squared distance");
      f.number("between_weight", between_weight, "factor of the edges between communities (lambda)",
               foil::at_least(0));
      f.number("community_decay", community_decay,
               "how fast other communities lose weight with the distance from a node's own (gamma); 0 in "
               "published runs",
               foil::at_least(0));
      f.integer("stride_epochs", stride_epochs, "in so many the densities' part falls to 1/e",
                foil::at_least(1));
      f.number("communal_share", communal_share,
               "of stride_epochs, after which nodes alone are contrasted; falling linearly until then",
               foil::above(0));
      f.choice("directions", directions, {{"mean", Directions::mean}, {"first", Directions::first}},
               "of the contrast of nodes; first reproduces published code");
    }
  };
  explicit GCooL(const Options& options) : options_(options) {}

  foil::Needs needs() const override { return {.views = true, .graph = true}; }

  void setup(const foil::Sizes& sizes) override {
    centres_ = register_parameter("centres", torch::randn({options_.communities, sizes.z_dim}));
  }

  Tensor forward(const LossInput& input) override {
    std::vector<Community> of;  // by view
    Tensor density = torch::zeros({}, input.z[0].options());
    for (int64_t v = 0; v < 2; ++v) {
      const Tensor z = input.everyone(v).detach();                     // [N, D]
      const Tensor share = score(z, foil::unit(centres_)).softmax(1);  // R: [N, K]
      const std::string number = std::to_string(v + 1);
      const Tensor one = less_density(share, input.views.at(static_cast<size_t>(v)).edges);
      input.keep("assignment_" + number, share);
      input.report("density_" + number, one);
      density = density + one / 2;
      of.emplace_back(z, share.detach());
    }
    const Tensor nodes = contrast(input);
    const Tensor communities = (among(input, 0, of[1]) + among(input, 1, of[0])) / 2;
    input.report("nodes", nodes);
    input.report("density", density);
    input.report("communities", communities);
    const double strides = static_cast<double>(input.epoch) / static_cast<double>(options_.stride_epochs);
    const double a = std::max(0.0, 1 - strides / options_.communal_share), c = std::exp(-strides);
    return nodes + a * (c * density + (1 - c) * communities);
  }

 private:
  // The communities of a view, constant.
  struct Community {
    Tensor of;    // int64 [N]
    Tensor mean;  // [K, D]
    Community(const Tensor& z, const Tensor& share) : of(share.argmax(1)) {
      const auto sum = [&](const Tensor& x) {
        return torch::zeros({share.size(1), x.size(1)}, x.options()).index_add(0, of, x);
      };
      mean = sum(z) / sum(torch::ones_like(z.slice(1, 0, 1))).clamp_min(1);
    }
  };

  // s of rows [n, D] and communities [K, D], but for what all communities of a row have: [n, K].
  Tensor score(const Tensor& z, const Tensor& community) const {
    const double t = options_.temperature;
    const Tensor product = torch::matmul(z, community.t());
    if (options_.similarity == Similarity::dot) return product / t;
    return (2 * product - community.square().sum(1)) / (t * t);
  }

  // DeCA of R: [N, K]. Rows of R have the sum 1, so that the sum of F counts the edges.
  Tensor less_density(const Tensor& share, const foil::Edges& edges) const {
    const int64_t nodes = share.size(0);
    const double n = static_cast<double>(nodes), between = options_.between_weight;
    const Tensor pair = std::get<0>(torch::_unique(edges.ends[0] * nodes + edges.ends[1]));
    const Tensor source = pair.div(nodes, "floor"), to = pair.remainder(nodes);
    const Tensor inside = (share.index_select(0, source) * share.index_select(0, to)).sum();  // trace(F)
    return (between * static_cast<double>(pair.size(0)) - (n - 1 + between) * inside) /
               std::max(n * (n - 1), 1.0) +
           share.square().sum() / (2 * n);
  }

  Tensor contrast(const LossInput& input) const {
    const auto direction = [&](size_t from, size_t to) {
      return input.mean(
          foil::ViewContrast{from, to, options_.temperature, foil::Candidates::other_view}(input));
    };
    const Tensor forth = direction(0, 1);
    return options_.directions == Directions::first ? forth : (forth + direction(1, 0)) / 2;
  }

  // The nodes of view v among the communities of the other view.
  Tensor among(const LossInput& input, size_t v, const Community& community) const {
    const Tensor own = foil::own_rows(input, community.of);                               // [B]
    const Tensor s = score(input.z[v], community.mean);                                   // [B, K]
    const Tensor apart = (community.mean.unsqueeze(1) - community.mean).square().sum(2);  // [K, K]
    const Tensor other = torch::arange(s.size(1), own.options()) != own.unsqueeze(1);     // [B, K]
    const Tensor weighted = s - options_.community_decay * apart.index_select(0, own);
    const Tensor mine = s.gather(1, own.unsqueeze(1)).squeeze(1);  // [B]
    return input.mean(foil::softplus(foil::masked_logsumexp(weighted, other) - mine));
  }

  Options options_;
  Tensor centres_;  // [K, D]
};

}  // namespace

FOIL_PLUGIN(plugin) {
  plugin.loss<GCooL>("gcool",
                     {.samples = {"communities = 3\nsimilarity = \"gaussian\"\ncommunity_decay = 0.5"}});
}
