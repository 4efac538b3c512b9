// The row operations on a GPU: one block a row. The reference is the CPU twin in my_plugin.cpp.
#include "my_plugin.h"

#include <cuda_runtime.h>
#include <math_constants.h>

namespace my_plugin {
namespace {

constexpr int threads = 128;  // a power of two

// The sum or the maximum of `mine` over the block, in every thread.
template <class T, class Join>
__device__ T over_block(T mine, Join join) {
  __shared__ T shared[threads];
  shared[threadIdx.x] = mine;
  __syncthreads();
  for (int half = threads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] = join(shared[threadIdx.x], shared[threadIdx.x + half]);
    __syncthreads();
  }
  const T all = shared[0];
  __syncthreads();
  return all;
}

template <class T>
__global__ void forward_row(Rows<T> x, T* value, T* lse) {
  const int64_t i = blockIdx.x, own = x.first + i;
  const T* row = x.s + i * x.columns;
  T top = -CUDART_INF;
  for (int64_t j = threadIdx.x; j < x.columns; j += threads)
    if (j != own) top = max(top, row[j]);
  top = over_block(top, [](T a, T b) { return max(a, b); });
  T sum = 0;
  for (int64_t j = threadIdx.x; j < x.columns; j += threads)
    if (j != own) sum += exp(row[j] - top);
  sum = over_block(sum, [](T a, T b) { return a + b; });
  if (threadIdx.x != 0) return;
  lse[i] = x.columns > 1 ? log(sum) + top : -CUDART_INF;
  const T margin = lse[i] - row[own];
  value[i] = max(margin, T(0)) + log1p(exp(-abs(margin)));
}

template <class T>
__global__ void backward_row(Rows<T> x, const T* lse, const T* grad, T* out) {
  const int64_t i = blockIdx.x, own = x.first + i;
  const T* row = x.s + i * x.columns;
  const T share = grad[i] / (1 + exp(row[own] - lse[i]));
  for (int64_t j = threadIdx.x; j < x.columns; j += threads)
    out[i * x.columns + j] = j == own ? -share : share * exp(row[j] - lse[i]);
}

}  // namespace

template <class T>
void forward_on_gpu(Rows<T> x, T* value, T* lse, void* stream) {
  if (x.rows > 0) forward_row<<<x.rows, threads, 0, static_cast<cudaStream_t>(stream)>>>(x, value, lse);
}

template <class T>
void backward_on_gpu(Rows<T> x, const T* lse, const T* grad, T* out, void* stream) {
  if (x.rows > 0) backward_row<<<x.rows, threads, 0, static_cast<cudaStream_t>(stream)>>>(x, lse, grad, out);
}

template void forward_on_gpu(Rows<float>, float*, float*, void*);
template void forward_on_gpu(Rows<double>, double*, double*, void*);
template void backward_on_gpu(Rows<float>, const float*, const float*, float*, void*);
template void backward_on_gpu(Rows<double>, const double*, const double*, double*, void*);

}  // namespace my_plugin
