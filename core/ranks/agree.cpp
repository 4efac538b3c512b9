// SPDX-License-Identifier: BSD-3-Clause
#include "ranks/agree.h"

namespace foil {

void on_rank_0(World& world, const std::function<void()>& work) {
  std::string message;
  Exit code = Exit::ok;
  if (world.rank() == 0) {
    try {
      work();
    } catch (const Error& error) {
      message = error.what();
      code = error.code();
    } catch (const std::exception& error) {
      message = error.what();
      code = Exit::failure;
    }
  }
  code = static_cast<Exit>(world.broadcast_int(static_cast<int64_t>(code)));
  if (code != Exit::ok) throw Error(world.broadcast_text(message), code);
}

}  // namespace foil
