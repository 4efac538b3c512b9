// SPDX-License-Identifier: BSD-3-Clause
// Mask watch: notes where a computation masks by a large negative number. Such a mask is exact only while
// what it hides is small beside it: at temperature 0.001 similarities reach 1000, and a masked entry of -100
// counts more than the others.
#pragma once

#include <memory>
#include <string>

namespace foil::conformance {

// Inside its life, on this thread: the masks by a finite number of -50 or less in masked_fill, where and
// fill_diagonal; with `products` also the products of a tensor of zeros and ones with a number as large.
class MaskWatch {
 public:
  explicit MaskWatch(bool products);
  ~MaskWatch();
  MaskWatch(const MaskWatch&) = delete;
  // The first of them, as "masked_fill with -100"; empty for none.
  const std::string& found() const { return found_; }
  void note(const char* operation, double value);
  bool products() const { return products_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::string found_;
  bool products_;
};

}  // namespace foil::conformance
