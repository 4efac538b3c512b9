// SPDX-License-Identifier: BSD-3-Clause
// What one item of the conformance tests found: how much was compared, how close it came, and what fails,
// where and by how much.
#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

namespace foil::conformance {

using at::Tensor;
using Tensors = std::map<std::string, Tensor>;

class Item {
 public:
  // Tolerances are `factor` times the kit's.
  explicit Item(std::string name, double factor = 1) : name_(std::move(name)), factor_(factor) {}

  void expect(bool holds, const std::string& where, const std::string& what_fails);
  // |got - want| <= allowed, entry by entry; a nan or inf is never close.
  void expect_close(const std::string& where, const std::string& what, const Tensor& got, const Tensor& want,
                    double allowed);
  void expect_equal_bits(const std::string& where, const std::string& what, const Tensor& got,
                         const Tensor& want);
  void expect_finite(const std::string& where, const std::string& what, const Tensor& got);
  void fail(const std::string& where, const std::string& what_fails) { expect(false, where, what_fails); }
  void skip(std::string reason) { skipped_ = std::move(reason); }
  // Says in one line that it fails for the reason of an earlier item, where its first failure is the same but
  // for the place.
  void fold_into(const Item& earlier);
  void note(std::string text) { notes_.push_back(std::move(text)); }

  const std::string& name() const { return name_; }
  double factor() const { return factor_; }
  bool failed() const { return failures_ > 0; }
  bool skipped() const { return !skipped_.empty(); }
  // One line, then one a failure and a note: "ok    ranks   1320 checks, the closest at 0.002 of its
  // tolerance: ...".
  std::string text() const;

 private:
  std::string name_;
  double factor_;
  int64_t checks_ = 0, failures_ = 0;
  double closest_ = 0;  // of the comparisons that hold, as a share of what is allowed
  std::string closest_at_;
  std::string skipped_;
  std::vector<std::string> shown_, notes_;  // the first failures; what the report adds
  std::string reason_;                      // of the first failure, without its place
};

}  // namespace foil::conformance
