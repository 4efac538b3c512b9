// MyPlugin: each sample's first view must find its second view among the second views of the whole batch,
// with a kernel of its own.
//
//   s_ij = <z1_i, z2_j> / temperature
//   L    = mean over i of -log( exp s_ii / sum over j of exp s_ij )
//        = mean over i of softplus(log sum over j != i of exp s_ij - s_ii)
//
// The row operation is in my_plugin.cu for a GPU, where foil has CUDA and nvcc is found; its CPU twin, below,
// serves everywhere else. Paper: say here which one and which equation; what differs from the published code,
// and why.
//
//   [[loss]]
//   name = "my_plugin"
//   temperature = 0.2
#include "my_plugin.h"

#include <foil/plugin.h>

#include <torch/csrc/autograd/custom_function.h>

#ifdef FOIL_CUDA
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

namespace my_plugin {

template <class T>
void forward_on_cpu(Rows<T> x, T* value, T* lse) {
  for (int64_t i = 0; i < x.rows; ++i) {
    const T* row = x.s + i * x.columns;
    T top = -std::numeric_limits<T>::infinity(), sum = 0;
    for (int64_t j = 0; j < x.columns; ++j)
      if (j != x.first + i) top = std::max(top, row[j]);
    for (int64_t j = 0; j < x.columns; ++j)
      if (j != x.first + i) sum += std::exp(row[j] - top);
    lse[i] = x.columns > 1 ? std::log(sum) + top : top;
    const T margin = lse[i] - row[x.first + i];
    value[i] = std::max(margin, T(0)) + std::log1p(std::exp(-std::abs(margin)));
  }
}

template <class T>
void backward_on_cpu(Rows<T> x, const T* lse, const T* grad, T* out) {
  for (int64_t i = 0; i < x.rows; ++i) {
    const T *row = x.s + i * x.columns, share = grad[i] / (1 + std::exp(row[x.first + i] - lse[i]));
    for (int64_t j = 0; j < x.columns; ++j)
      out[i * x.columns + j] = j == x.first + i ? -share : share * std::exp(row[j] - lse[i]);
  }
}

}  // namespace my_plugin

namespace {

using foil::LossInput;
using foil::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Calls f with T = float or double, the type of `s`.
template <class F>
void with_type(const Tensor& s, F f) {
  if (s.scalar_type() == torch::kDouble) return f(double{});
  f(float{});
}

template <class T>
my_plugin::Rows<T> rows_of(const Tensor& s, int64_t first) {
  return {s.const_data_ptr<T>(), s.size(0), s.size(1), first};
}

// softplus(log sum of the other columns - the positive) of each row of s [B, N]: [B].
struct RowLoss : torch::autograd::Function<RowLoss> {
  static Tensor forward(AutogradContext* context, const Tensor& similarity, int64_t first) {
    const Tensor s = similarity.contiguous();
    const Tensor value = torch::empty({s.size(0)}, s.options()), lse = torch::empty_like(value);
    with_type(s, [&](auto type) {
      using T = decltype(type);
#ifdef FOIL_CUDA
      if (s.is_cuda()) {
        const c10::cuda::CUDAGuard device(s.device());
        return my_plugin::forward_on_gpu(rows_of<T>(s, first), value.mutable_data_ptr<T>(),
                                         lse.mutable_data_ptr<T>(),
                                         c10::cuda::getCurrentCUDAStream().stream());
      }
#endif
      const Tensor here = s.cpu(), v = value.cpu(), l = lse.cpu();
      my_plugin::forward_on_cpu(rows_of<T>(here, first), v.mutable_data_ptr<T>(), l.mutable_data_ptr<T>());
      value.copy_(v);
      lse.copy_(l);
    });
    context->save_for_backward({s, lse});
    context->saved_data["first"] = first;
    return value;
  }

  static variable_list backward(AutogradContext* context, variable_list incoming) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &s = saved[0], &lse = saved[1];
    const int64_t first = context->saved_data["first"].toInt();
    const Tensor grad = incoming[0].contiguous(), out = torch::empty_like(s);
    with_type(s, [&](auto type) {
      using T = decltype(type);
#ifdef FOIL_CUDA
      if (s.is_cuda()) {
        const c10::cuda::CUDAGuard device(s.device());
        return my_plugin::backward_on_gpu(rows_of<T>(s, first), lse.const_data_ptr<T>(),
                                          grad.const_data_ptr<T>(), out.mutable_data_ptr<T>(),
                                          c10::cuda::getCurrentCUDAStream().stream());
      }
#endif
      const Tensor here = s.cpu(), l = lse.cpu(), g = grad.cpu(), o = out.cpu();
      my_plugin::backward_on_cpu(rows_of<T>(here, first), l.const_data_ptr<T>(), g.const_data_ptr<T>(),
                                 o.mutable_data_ptr<T>());
      out.copy_(o);
    });
    return {out, {}};
  }
};

class MyPlugin final : public foil::Loss {
 public:
  struct Options {
    double temperature = 0.2;
    void describe(foil::Fields& f) {
      f.number("temperature", temperature, "divides the similarities", foil::above(0));
    }
  };
  explicit MyPlugin(Options options) : options_(options) {}

  Tensor forward(const LossInput& input) override {
    const Tensor similarity =
        torch::matmul(input.z[0], input.everyone(1).t()) / options_.temperature;  // [B, N]
    const Tensor wide = similarity.to(torch::promote_types(similarity.scalar_type(), torch::kFloat));
    return input.mean(RowLoss::apply(wide, input.offset()));
  }

 private:
  Options options_;
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.loss<MyPlugin>("my_plugin"); }
