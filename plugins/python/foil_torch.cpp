// SPDX-License-Identifier: BSD-3-Clause
// libfoil_torch.so: any installed loss in a Python training loop.
//
//   torch.ops.load_library("PREFIX/lib/libfoil_torch.so")
//   value = torch.ops.foil.loss("infonce", "temperature = 0.2", [z1, z2], label, index)
//   value = torch.ops.foil.loss("byol", "", [z1, z2], p=[p1, p2], target=[t1, t2])
//   loss = torch.classes.foil.Loss("infonce", "temperature = 0.2", {"z_dim": 128, "dataset_size": 60000})
//
// The operator is for losses without parameters and state; the class keeps both. One process sees its own
// rows only: where torch.distributed runs on more than one rank, both refuse unless the caller says that this
// is meant (local=True).
#include "api/no_autocast.h"
#include "api/plain_words.h"
#include "model/weights.h"
#include "ranks/process_groups.h"

#include <foil/host.h>

#include <torch/custom_class.h>
#include <torch/library.h>
#include <torch/utils.h>

#include <optional>

namespace {

using foil::Exit;
using foil::Tensor;

using Dict = c10::Dict<std::string, Tensor>;
using OptionalTensor = std::optional<Tensor>;
using OptionalList = std::optional<std::vector<Tensor>>;
using OptionalDict = std::optional<Dict>;

std::vector<std::string>& refused() {
  static std::vector<std::string> lines = foil::load_plugins();
  return lines;
}

// A loss by name; when there is none of that name, the refused libraries may say why.
std::shared_ptr<foil::Loss> make(const std::string& name, const std::string& options) {
  const std::vector<std::string>& lines = refused();
  try {
    return foil::make_loss(name, options);
  } catch (const foil::Error& error) {
    std::string text = error.what();
    for (const std::string& line : lines) text += "\nrefused: " + line;
    throw foil::Error(text, error.code());
  }
}

// A rank's own rows have the negatives of these rows only, and its state would go its own way.
void require_one_rank(const std::string& what, bool local) {
  const int64_t ranks = local ? 1 : foil::default_group_size();
  if (ranks > 1)
    foil::fail(Exit::usage, what, ": torch.distributed's default process group has ", ranks,
               " ranks, and this sees the rows of its own rank only: value, gradient and state are not those "
               "of the global batch. "
               "If the rank alone is meant, say local=True; foil train runs a loss on all ranks.");
}

// What a caller gives besides z, in the order of the operator's arguments.
struct Arguments {
  OptionalTensor label, index;
  OptionalList p, target, queue, h, queue_label, queue_index;
  OptionalDict more;  // by name: "edges.0", "weight.encoder.conv1.weight"
  foil::NamedTensors named() const {
    foil::NamedTensors all;
    if (label) all["label"] = *label;
    if (index) all["index"] = *index;
    const std::pair<const char*, const OptionalList*> lists[] = {
        {"p.", &p}, {"target.", &target},           {"queue.", &queue},
        {"h.", &h}, {"queue_label.", &queue_label}, {"queue_index.", &queue_index}};
    for (const auto& [name, list] : lists)
      for (size_t i = 0; *list && i < (*list)->size(); ++i) all[name + std::to_string(i)] = (**list)[i];
    if (!more) return all;
    for (const auto& entry : *more)
      if (entry.key().starts_with("z.") || !all.emplace(entry.key(), entry.value()).second)
        foil::fail(Exit::usage, "more: '", entry.key(), "' is given by an argument of its own.");
    return all;
  }
};

Tensor loss(const std::string& name, const std::string& options, const std::vector<Tensor>& z,
            const OptionalTensor& label, const OptionalTensor& index, const OptionalList& p,
            const OptionalList& target, const OptionalList& queue, const OptionalList& h,
            const OptionalList& queue_label, const OptionalList& queue_index, bool local,
            const OptionalDict& more) {
  const std::string what = "torch.ops.foil.loss: '" + name + "'";
  require_one_rank(what, local);
  return foil::in_plain_words(what, [&] {
    const std::shared_ptr<foil::Loss> made = make(name, options);
    const Arguments arguments{label, index, p, target, queue, h, queue_label, queue_index, more};
    const foil::LossInput input = foil::make_input(*made, z, arguments.named());
    foil::set_up(*made, input.sizes);
    if (!made->parameters().empty() || !made->buffers().empty())
      foil::fail(Exit::usage, what, " has parameters or state; keep it in torch.classes.foil.Loss.");
    return (*made)(input);
  });
}

foil::Sizes sizes_of(const c10::Dict<std::string, int64_t>& given) {
  foil::Sizes sizes;
  const std::map<std::string, int64_t*> known{{"batch_size", &sizes.batch_size},
                                              {"classes", &sizes.classes},
                                              {"dataset_size", &sizes.dataset_size},
                                              {"feature_dim", &sizes.feature_dim},
                                              {"full_views", &sizes.full_views},
                                              {"views", &sizes.views},
                                              {"z_dim", &sizes.z_dim}};
  for (const auto& entry : given) {
    const auto place = known.find(entry.key());
    if (place == known.end()) {
      std::vector<std::string> names;
      for (const auto& [key, value] : known) names.push_back(key);
      foil::fail(Exit::usage, "torch.classes.foil.Loss: unknown size '", entry.key(), "'.",
                 foil::known_names("sizes", entry.key(), names));
    }
    if (entry.value() < 0)
      foil::fail(Exit::usage, "torch.classes.foil.Loss: ", entry.key(), " = ", entry.value(),
                 ", allowed: an integer >= 0.");
    *place->second = entry.value();
  }
  if (sizes.full_views == 0) sizes.full_views = sizes.views;
  return sizes;
}

// A loss that lives: parameters for the optimizer, state that moves once a step.
class KeptLoss final : public torch::CustomClassHolder {
 public:
  KeptLoss(const std::string& name, const std::string& options, const c10::Dict<std::string, int64_t>& sizes,
           bool local)
      : what_("torch.classes.foil.Loss: '" + name + "'"),
        local_(local),
        loss_(make(name, options)),
        sizes_(sizes_of(sizes)) {
    foil::set_up(*loss_, sizes_);
  }

  Tensor forward(const std::vector<Tensor>& z, const OptionalTensor& label, const OptionalTensor& index,
                 const OptionalList& p, const OptionalList& target, const OptionalList& queue, int64_t epoch,
                 const OptionalList& h, const OptionalList& queue_label, const OptionalList& queue_index,
                 const OptionalDict& more) {
    require_one_rank(what_, local_);
    return foil::in_plain_words(what_, [&] {
      const Arguments arguments{label, index, p, target, queue, h, queue_label, queue_index, more};
      input_ = foil::make_input(*loss_, z, arguments.named(), sizes_);
      input_->step = step_;
      input_->epoch = epoch;
      input_->training = loss_->is_training();
      return (*loss_)(*input_);
    });
  }

  // After the optimizer's step; in evaluation nothing moves.
  void after_step() {
    if (!input_) foil::fail(Exit::usage, "foil.Loss.after_step: forward was not called since the last step.");
    if (loss_->is_training()) {
      torch::NoGradGuard no_grad;
      const foil::NoAutocast guard;
      foil::in_plain_words(what_ + ", after_step", [&] { loss_->after_step(*input_); });
      ++step_;
    }
    input_.reset();
  }

  std::vector<Tensor> parameters() const { return loss_->parameters(); }
  void train(bool on) { loss_->train(on); }
  // `type`: of floating point, as its number, which is how a torch.dtype arrives.
  void to(const std::string& device, std::optional<int64_t> type) {
    foil::in_plain_words(what_ + ", to", [&] {
      if (!type) return loss_->to(at::Device(device));
      const auto wanted = static_cast<at::ScalarType>(*type);
      if (wanted != at::kFloat && wanted != at::kDouble)
        foil::fail(Exit::usage, what_, ", to: dtype, allowed: torch.float32 and torch.float64.");
      foil::move_to(*loss_, at::Device(device), wanted);
    });
  }

  // The parts that the last forward reported.
  Dict reports() const {
    Dict parts;
    if (input_) {
      for (const auto& [name, value] : input_->reports()) parts.insert(name, value);
    }
    return parts;
  }

  // Parameters and buffers by name, and the number of steps; tensors are copies.
  Dict state_dict() const {
    Dict state;
    for (const auto& [name, tensor] : tensors()) state.insert(name, tensor.detach().clone());
    state.insert(step_key, torch::tensor(step_));
    return state;
  }

  void load_state_dict(const Dict& state) {
    torch::NoGradGuard no_grad;
    const std::map<std::string, Tensor> mine = tensors();
    std::vector<std::string> names{step_key};
    for (const auto& [name, tensor] : mine) names.push_back(name);
    for (const std::string& name : names) {
      if (!state.contains(name))
        foil::fail(Exit::usage, "foil.Loss.load_state_dict: '", name, "' is missing.");
    }
    for (const auto& entry : state) {
      const auto place = mine.find(entry.key());
      if (place == mine.end() && entry.key() != step_key)
        foil::fail(Exit::usage, "foil.Loss.load_state_dict: unknown '", entry.key(), "'.",
                   foil::known_names("names", entry.key(), names));
      if (place != mine.end() && place->second.sizes() != entry.value().sizes())
        foil::fail(Exit::usage, "foil.Loss.load_state_dict: '", entry.key(), "' is ", entry.value().sizes(),
                   ", allowed: ", place->second.sizes(), ".");
    }
    for (const auto& [name, tensor] : mine) Tensor(tensor).copy_(state.at(name));
    step_ = state.at(step_key).item<int64_t>();
  }

 private:
  static constexpr const char* step_key = "foil_step";

  std::map<std::string, Tensor> tensors() const {
    std::map<std::string, Tensor> all;
    for (const auto& item : loss_->named_parameters()) all[item.key()] = item.value();
    for (const auto& item : loss_->named_buffers()) all[item.key()] = item.value();
    return all;
  }

  std::string what_;  // leads messages
  bool local_;
  std::shared_ptr<foil::Loss> loss_;
  foil::Sizes sizes_;
  int64_t step_ = 0;
  std::optional<foil::LossInput> input_;  // of the last forward
};

}  // namespace

TORCH_LIBRARY(foil, library) {
  library.def(
      "loss(str name, str options, Tensor[] z, Tensor? label=None, Tensor? index=None, Tensor[]? p=None, "
      "Tensor[]? target=None, "
      "Tensor[]? queue=None, Tensor[]? h=None, Tensor[]? queue_label=None, Tensor[]? queue_index=None, bool "
      "local=False, Dict(str, Tensor)? more=None) -> Tensor",
      loss);
  const auto optional = [](const char* name) { return torch::arg(name) = c10::nullopt; };
  library.class_<KeptLoss>("Loss")
      .def(torch::init<std::string, std::string, c10::Dict<std::string, int64_t>, bool>(), "",
           {torch::arg("name"), torch::arg("options") = std::string(),
            torch::arg("sizes") = c10::Dict<std::string, int64_t>(), torch::arg("local") = false})
      .def("forward", &KeptLoss::forward, "",
           {torch::arg("z"), optional("label"), optional("index"), optional("p"), optional("target"),
            optional("queue"), torch::arg("epoch") = 0, optional("h"), optional("queue_label"),
            optional("queue_index"), optional("more")})
      .def("after_step", &KeptLoss::after_step)
      .def("parameters", &KeptLoss::parameters)
      .def("train", &KeptLoss::train)
      .def("to", &KeptLoss::to, "", {torch::arg("device"), optional("dtype")})
      .def("reports", &KeptLoss::reports)
      .def("state_dict", &KeptLoss::state_dict)
      .def("load_state_dict", &KeptLoss::load_state_dict);
}
