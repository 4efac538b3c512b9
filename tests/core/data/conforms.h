// SPDX-License-Identifier: BSD-3-Clause
// The conformance tests on a data set that is built in. Not a test itself.
#pragma once

#include "data/builtin.h"
#include "plugins/conformance/conformance.h"
#include "plugins/loader.h"

#include <gtest/gtest.h>

namespace foil::test {

// What every data set must hold, of this one with the files in `folder`.
inline void expect_conforms(const std::string& name, const std::string& folder) {
  static const bool entered = [] {
    Registry::instance().enter("built in", register_builtin_data);
    return true;
  }();
  ASSERT_TRUE(entered);
  Node given{Node::Table{}, {}, {}};
  given.set("path", {folder, {"--set"}, {"--set"}});
  const auto report = conformance::test(Registry::instance().find("data set", name, "test"), "", given);
  EXPECT_TRUE(report.passed()) << report.text(name);
}

// The text of sample b of a view.
inline std::string text_of(const View& view, int64_t b) {
  const auto* text = reinterpret_cast<const char*>(view.data[b].const_data_ptr<uint8_t>());
  return {text, static_cast<size_t>(view.length[b].item<int64_t>())};
}

}  // namespace foil::test
