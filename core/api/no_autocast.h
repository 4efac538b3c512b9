// SPDX-License-Identifier: BSD-3-Clause
// NoAutocast: autocast off on all kinds of device for as long as it lives.
#pragma once

#include <ATen/autocast_mode.h>

#include <iterator>

namespace foil {

class NoAutocast {
 public:
  NoAutocast() {
    for (size_t i = 0; i < std::size(kDevices); ++i) {
      was_[i] = at::autocast::is_autocast_enabled(kDevices[i]);
      at::autocast::set_autocast_enabled(kDevices[i], false);
    }
  }
  ~NoAutocast() {
    for (size_t i = 0; i < std::size(kDevices); ++i) at::autocast::set_autocast_enabled(kDevices[i], was_[i]);
  }
  NoAutocast(const NoAutocast&) = delete;
  NoAutocast& operator=(const NoAutocast&) = delete;
  // Whether it was on for some kind of device.
  bool was_on() const { return was_[0] || was_[1]; }

 private:
  static constexpr at::DeviceType kDevices[] = {at::kCPU, at::kCUDA};
  bool was_[std::size(kDevices)] = {};
};

}  // namespace foil
