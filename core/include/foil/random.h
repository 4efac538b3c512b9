// SPDX-License-Identifier: BSD-3-Clause
// Randomness as a pure function of its key: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). No global generator anywhere: the same key gives the same numbers on every rank,
// device, batch position and after a resume.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#ifdef __CUDACC__
#define FOIL_HOST_DEVICE __host__ __device__
#else
#define FOIL_HOST_DEVICE
#endif

namespace foil {

// 128 random bits.
struct PhiloxBlock {
  uint32_t word[4];
};

// Philox 4x32-10: 128 random bits for a 128-bit counter under a 64-bit key.
FOIL_HOST_DEVICE inline PhiloxBlock philox(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  uint32_t c0 = static_cast<uint32_t>(counter_low), c1 = static_cast<uint32_t>(counter_low >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_high), c3 = static_cast<uint32_t>(counter_high >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0;
    const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// A float in [0, 1) from 32 random bits: (x >> 8) * 2^-24, exact in float.
FOIL_HOST_DEVICE inline float unit_float(uint32_t x) {
  return static_cast<float>(x >> 8) * 5.9604644775390625e-08f;
}

// Folds further words into a key, so that (seed, step, view, position, ...) becomes one 64-bit Philox key
// (splitmix64 finaliser).
FOIL_HOST_DEVICE inline uint64_t mix_key(uint64_t key, uint64_t word) {
  uint64_t z = key + 0x9E3779B97F4A7C15ull * (word + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// A stable 64-bit number for a name (FNV-1a), to key draws by name.
inline uint64_t name_key(std::string_view name) {
  uint64_t h = 0xCBF29CE484222325ull;
  for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return h;
}

// The sequence of draws that belongs to one key, for one sample: a small value type, made where it is needed.
class Draws {
 public:
  // `key`: of the place (seed, step, view, ...), by mix_key. `sample`: an id that follows the sample, such as
  // its row in the data set.
  Draws(uint64_t key, uint64_t sample) : key_(key), sample_(sample) {}
  // The next 32 random bits; every other draw takes 32, normal() 64.
  uint32_t bits() {
    if (used_ == 4) {
      block_ = philox(key_, sample_, counter_++);
      used_ = 0;
    }
    return block_.word[used_++];
  }
  float uniform() { return unit_float(bits()); }                                      // [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }  // [low, high)
  int64_t below(int64_t n) {  // {0, ..., n-1}, n < 2^32; bias below n * 2^-32
    return static_cast<int64_t>((static_cast<uint64_t>(bits()) * static_cast<uint64_t>(n)) >> 32);
  }
  double normal() {  // standard normal (Box-Muller)
    const double u = (static_cast<double>(bits()) + 1.0) * 2.3283064365386963e-10, v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }

 private:
  uint64_t key_;
  uint64_t sample_;
  uint64_t counter_ = 0;
  PhiloxBlock block_{};
  int used_ = 4;
};

}  // namespace foil
