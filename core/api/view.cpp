// SPDX-License-Identifier: BSD-3-Clause
#include <foil/view.h>

namespace foil {

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::image:
      return "image";
    case Kind::audio:
      return "audio";
    case Kind::text:
      return "text";
    case Kind::vector:
      return "vector";
    case Kind::graph:
      return "graph";
  }
  return "?";
}

}  // namespace foil
