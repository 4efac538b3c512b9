// SPDX-License-Identifier: BSD-3-Clause
// The same work on many things, by several threads.
#pragma once

#include <cstdint>
#include <functional>

namespace foil {

// Calls work(0) .. work(count - 1) on this thread and up to threads - 1 others, fewer where the system has no
// more. After a failure no further call starts, and the exception of the lowest number is thrown: calls start
// in order, so it is always the same one.
void in_parallel(int64_t count, int64_t threads, const std::function<void(int64_t)>& work);

}  // namespace foil
