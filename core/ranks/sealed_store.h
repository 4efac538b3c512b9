// SPDX-License-Identifier: BSD-3-Clause
// A store that strangers may reach, made safe: keys are hidden and values signed by a secret that only the
// ranks of this run know. Whoever has no secret can forge nothing that a rank would believe; values that
// nobody signed are as if they were not there.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <string>

namespace foil {

// HMAC-SHA1 as 40 hexadecimal digits.
std::string seal(const std::string& secret, const std::string& text);

// 128 bits that nobody can guess, as hexadecimal digits.
std::string random_secret();

// Two ranks with different secrets do not see each other's keys. The values are not encrypted.
c10::intrusive_ptr<c10d::Store> sealed_store(const c10::intrusive_ptr<c10d::Store>& store,
                                             const std::string& secret);

}  // namespace foil
