// SPDX-License-Identifier: BSD-3-Clause
// A valid file, damaged: the same bytes for the same generator. Binary and text alike, as files of either
// kind break in either way.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace foil::fire {

using Random = std::mt19937_64;

inline size_t below(Random& random, size_t n) { return n == 0 ? 0 : static_cast<size_t>(random() % n); }

// What stands at the edge of what a number, a text or a nesting may be.
inline std::string edge(Random& random) {
  static const std::vector<std::string> words = {"[[[",
                                                 "]",
                                                 "{",
                                                 "}",
                                                 "[.a]",
                                                 "[[#",
                                                 "\"",
                                                 "'''",
                                                 "\\",
                                                 "\\u0000",
                                                 "\\ud800",
                                                 "\033[31m",
                                                 "\377\376",
                                                 std::string(1, '\0'),
                                                 "\n",
                                                 "\r",
                                                 "=",
                                                 ",",
                                                 ":",
                                                 "#",
                                                 "nan",
                                                 "inf",
                                                 "-inf",
                                                 "1e999",
                                                 "-1",
                                                 "0",
                                                 "0.5",
                                                 "2",
                                                 "4294967297",
                                                 "9223372036854775807",
                                                 "-9223372036854775808",
                                                 "18446744073709551616",
                                                 "1e18",
                                                 "1979-05-27",
                                                 "true",
                                                 "null",
                                                 "[]",
                                                 "{}",
                                                 "\"\"",
                                                 "\"../../x\"",
                                                 "\"~/x\"",
                                                 "\"/dev/zero\"",
                                                 "extends = \"e.toml\"\n",
                                                 "[sweep]\nseeds = 1000000000\n",
                                                 "[sweep]\ngrid = { \"run.seed\" = [1, 1.0] }\n"};
  switch (below(random, 12)) {
    case 0:
      return std::string(30'000, '[');
    case 1:
      return std::string(30'000, '{');
    case 2: {
      std::string key = "a";
      for (int i = 0; i < 30'000; ++i) key += ".a";
      return key;
    }
    default:
      return words[below(random, words.size())];
  }
}

// A number at the edge, of 1, 2, 4 or 8 bytes in either order.
inline std::string edge_bytes(Random& random) {
  static const std::array<uint64_t, 12> values = {
      0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff};
  const uint64_t value =
      below(random, 4) == 0 ? ~uint64_t{0} - below(random, 64) : values[below(random, values.size())];
  std::string bytes;
  for (size_t i = 0, n = size_t{1} << below(random, 4); i < n; ++i)
    bytes += static_cast<char>(value >> (8 * i));
  if (random() % 2) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

// One change somewhere, often near the head of the file: that is where formats keep their sizes.
inline void change(std::string& file, Random& random) {
  const size_t reach = random() % 2 ? std::min<size_t>(file.size(), 256) : file.size(),
               at = below(random, reach);
  const auto overwrite = [&](const std::string& bytes) { file.replace(at, bytes.size(), bytes); };
  const auto insert = [&](const std::string& bytes) { file.insert(at, bytes); };
  switch (below(random, 10)) {
    case 0:
      file.resize(at);
      break;
    case 1:
      insert(edge(random));
      break;
    case 2:
      overwrite(edge(random));
      break;
    case 3:
      overwrite(edge_bytes(random));
      break;
    case 4:
      file.erase(at, 1 + below(random, 16));
      break;
    case 5:
      file.append(file.substr(at));
      break;
    case 6:
      insert(file.substr(below(random, file.size()), 1 + below(random, 64)));
      break;
    case 7:
      overwrite(std::string(1 + below(random, 64), random() % 2 ? '\0' : '\377'));
      break;
    default:
      if (!file.empty()) file[at] = static_cast<char>(file[at] ^ (1 << below(random, 8)));
  }
}

inline std::string mutated(std::string file, Random& random) {
  for (size_t i = 0, changes = 1 + below(random, 3); i < changes; ++i) change(file, random);
  return file;
}

}  // namespace foil::fire
