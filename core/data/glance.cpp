// SPDX-License-Identifier: BSD-3-Clause
#include "data/glance.h"

#include "data/decode.h"
#include "data/parallel.h"
#include "run/file.h"

#include <atomic>

namespace foil {
namespace {

constexpr int64_t kWhole = int64_t{256} << 20;  // bytes of a set that is hashed whole
constexpr int64_t kSampled = 16384;             // files of a larger one that are looked at

}  // namespace

Glance glance_at(int64_t files, int64_t bytes, int64_t threads,
                 const std::function<std::vector<uint8_t>(int64_t file, bool whole)>& read) {
  Glance glance;
  const bool whole = bytes <= kWhole;
  glance.stride = whole ? 1 : (files + kSampled - 1) / kSampled;
  glance.looked_at = (files + glance.stride - 1) / glance.stride;
  glance.sums.resize(static_cast<size_t>(glance.looked_at));
  std::atomic<int64_t> turned = 0;
  in_parallel(glance.looked_at, threads, [&](int64_t i) {
    const std::vector<uint8_t> content = read(i * glance.stride, whole);
    glance.sums[static_cast<size_t>(i)] =
        checksum({reinterpret_cast<const char*>(content.data()), content.size()});
    if (exif_orientation(content) > 1) ++turned;
  });
  glance.turned = turned;
  return glance;
}

std::vector<std::string> Glance::remarks() const {
  if (turned == 0) return {};
  return {std::to_string(turned) + " of the " + std::to_string(looked_at) +
          " images looked at have an EXIF orientation, which is not applied"};
}

}  // namespace foil
