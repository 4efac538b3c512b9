// SPDX-License-Identifier: BSD-3-Clause
// The braces of a shell in names of files: "{000..331}" are numbers, both included, and "{a,b}" alternatives.
#pragma once

#include <string>
#include <vector>

namespace foil {

// What a text with braces stands for, as bash would expand it: the last braces change fastest, and numbers
// have the digits of the longer end where one begins with 0. Braces may be nested. `option` is what the text
// was given as. Refuses it (Exit::usage) where a brace is not closed, where between braces stands neither, a
// range that goes down, and what stands for more than a million names.
std::vector<std::string> expand_braces(const std::string& option, const std::string& text);

}  // namespace foil
