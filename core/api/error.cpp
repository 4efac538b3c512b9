// SPDX-License-Identifier: BSD-3-Clause
// Nearest names: the one helper behind every "Did you mean".
#include <foil/error.h>

#include <algorithm>
#include <cctype>

namespace foil {
namespace {

// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, substitutions, swaps of
// neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

// Only the letters and digits, in lower case.
std::string letters(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)))
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

}  // namespace

std::string nearest(std::string_view got, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, got.size() / 3) + 1;
  for (const std::string& name : known) {
    if (got.size() >= 2 * name.size() || name.size() >= got.size() + best_distance)
      continue;  // too far by their lengths
    const size_t distance = edit_distance(got, name);
    if (distance < best_distance && distance < name.size()) {
      best = name;
      best_distance = distance;
    }
  }
  const std::string start = letters(got);
  for (size_t i = 0; best.empty() && start.size() >= 3 && i < known.size(); ++i) {
    if (letters(known[i]).starts_with(start)) best = known[i];
  }
  return best;
}

std::string known_names(std::string_view what, std::string_view got, const std::vector<std::string>& known) {
  std::string text = " Known " + std::string(what) + ":";
  if (known.empty()) return text + " none.";
  constexpr size_t kMost = 100;
  for (size_t i = 0; i < std::min(known.size(), kMost); ++i) text += (i ? ", " : " ") + known[i];
  text += known.size() > kMost ? ", ... (" + std::to_string(known.size()) + " in all)." : ".";
  if (const std::string name = nearest(got, known); !name.empty()) text += " Did you mean '" + name + "'?";
  return text;
}

}  // namespace foil
