// SPDX-License-Identifier: BSD-3-Clause
// What an option allows, in words: the same in an error message and in `foil describe`.
#pragma once

#include <foil/fields.h>

namespace foil {

// "a number > 0", "an integer from 1 to 5", "a list of numbers >= 0".
std::string allowed_number(const Range& range);
std::string allowed_integer(const Range& range);
std::string allowed_numbers(const Range& range);
std::string allowed_integers(const Range& range);
// "none", "mean": the choices in quotes.
std::string allowed_choice(const std::vector<std::string>& choices);
// Any integer that is not negative. Other integers without an end of their own end at the largest that can be
// meant: see integers().
inline Range any_seed() { return between(0, 0x1p63); }
// `range` as it is for integers: 10^9 where it has no end, so that their products stay far from overflow.
Range integers(const Range& range);
inline const char* const allowed_flag = "true or false";
inline const char* const allowed_text = "a text";
inline const char* const allowed_path = "a path";
inline const char* const allowed_texts = "a list of texts";

}  // namespace foil
