// SPDX-License-Identifier: BSD-3-Clause
// Text from outside (names of files, what files hold) made fit to be shown: on a terminal, in JSON, in a
// table. Knows no format.
#pragma once

#include <string>
#include <string_view>

namespace foil {

// Whether the bytes are UTF-8 (Unicode 15, section 3.9: no overlong form, no surrogate, nothing above
// U+10FFFF).
bool is_utf8(std::string_view bytes);

// The text on one line, fit for a terminal: every control character (also newline, tab, DEL, those of C1, and
// those that turn the direction of writing) and every byte that is no UTF-8 becomes \xHH, HH being its bytes.
// Other text stays as it is.
std::string printable(std::string_view text);

// The same for a text of several lines, such as a message: newlines and tabs stay.
std::string printable_lines(std::string_view text);

}  // namespace foil
