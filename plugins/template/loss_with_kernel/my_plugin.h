// The two row operations of my_plugin, written twice: for a GPU in my_plugin.cu, for a CPU in my_plugin.cpp.
// Neither file of a kernel sees ATen.
#pragma once

#include <cstdint>

namespace my_plugin {

// Similarities s [rows, columns], row-major; the positive of row i is column first + i.
template <class T>
struct Rows {
  const T* s;
  int64_t rows, columns, first;
};

// value[i] = softplus(lse[i] - s[i, first + i]),  lse[i] = log sum over j != first + i of exp s[i, j]; -inf
// where there is no other column.
template <class T>
void forward_on_gpu(Rows<T> x, T* value, T* lse, void* stream);

// out[i, j] = grad[i] * d value[i] / d s[i, j] = grad[i] sigmoid(lse[i] - s_positive) (exp(s[i, j] - lse[i]),
// or -1 for the positive).
template <class T>
void backward_on_gpu(Rows<T> x, const T* lse, const T* grad, T* out, void* stream);

}  // namespace my_plugin
