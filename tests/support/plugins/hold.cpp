// SPDX-License-Identifier: BSD-3-Clause
// An augmentation that changes nothing and stops a run where a test wants it, only for tests: what happens
// next then depends on no clock. A file hold/STEP in the working folder arms it for the views of that step,
// hold/evaluation for those of an evaluation: the process that comes there renames the file to
// hold/STEP.here, once, and goes on when the test has removed that.
#include <foil/plugin.h>

#include <chrono>
#include <filesystem>
#include <thread>

namespace {

namespace fs = std::filesystem;

void hold_at(const std::string& place) {
  const fs::path armed = fs::path("hold") / place, here = armed.string() + ".here";
  std::error_code missing;
  fs::rename(armed, here, missing);
  if (missing) return;
  while (fs::exists(here)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

class Hold final : public foil::Augmentation {
 public:
  struct Options {
    void describe(foil::Fields&) {}
  };
  explicit Hold(Options) {}
  foil::View apply(const foil::View& view, const foil::AugmentContext& context) override {
    hold_at(std::to_string(context.step));
    return view;
  }
  foil::View evaluate(const foil::View& view) override {
    hold_at("evaluation");
    return view;
  }
};

}  // namespace

FOIL_PLUGIN(plugin) { plugin.augmentation<Hold>("hold"); }
