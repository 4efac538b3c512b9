// SPDX-License-Identifier: BSD-3-Clause
// The pictures of a report as PNG, for slides and for what shows no SVG.
#pragma once

#include <string>

namespace foil {

// NAME.png beside each NAME.svg of a folder and of its figures/, twice as many pixels as the SVG's units,
// drawn by librsvg's rsvg-convert. Throws Error (Exit::failure) where that is not there, or cannot draw one.
void write_pngs(const std::string& folder);

}  // namespace foil
