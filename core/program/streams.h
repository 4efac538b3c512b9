// SPDX-License-Identifier: BSD-3-Clause
// The standard streams of the program.
#pragma once

#include <string>

namespace foil {

// Makes the standard streams safe to write to: one that is closed leads to /dev/null, so that no file of a
// run takes its place, and a reader that goes away (`foil train ... | head -1`) ends nothing. Before any file
// is opened.
void guard_standard_streams();

// The exit code of a verb once everything is printed. What could not be is lost, unless nobody wanted it;
// only where printing is all that a verb does has the verb failed with it.
int after_printing(int code, const std::string& verb);

}  // namespace foil
