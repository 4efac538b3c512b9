// SPDX-License-Identifier: BSD-3-Clause
// Files, `extends` and --set.
#include "config/load.h"

#include "config/dump.h"
#include "config/override.h"
#include "config/parse.h"
#include "config/path.h"
#include "run/text.h"

#include <foil/error.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;

namespace foil {
namespace {

// " Did you mean 'folder/name.toml'?" for a file that is not there; empty when no *.toml beside it is near.
std::string near_file(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code ignored;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  const std::string name = nearest(path.filename().string(), names);
  return name.empty() ? "" : " Did you mean '" + (path.parent_path() / name).string() + "'?";
}

constexpr size_t kMostBytes = size_t{1} << 20;
constexpr int kMostFiles = 100;

// `place` leads the messages: empty, or the `extends` that asks for the file. What has no end (a device) is
// left at the limit.
std::string read_text(const std::string& path, const std::string& place) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored))
    fail(Exit::usage, place, path, ": is a folder, allowed: an experiment file (*.toml).");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file && errno == ENOENT) fail(Exit::usage, place, path, ": no such file.", near_file(path));
  std::string text(kMostBytes + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file && !file.eof()) fail(Exit::usage, place, path, ": cannot be read: ", std::strerror(errno), ".");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMostBytes)
    fail(Exit::usage, place, path, ": more than ", kMostBytes, " bytes, allowed: an experiment file.");
  return text;
}

// The paths that `extends` names.
std::vector<const Node*> bases(const Node& extends) {
  std::vector<const Node*> paths;
  if (extends.is_text()) {
    paths.push_back(&extends);
  } else if (extends.is_array()) {
    for (const Node& path : extends.array()) paths.push_back(&path);
  }
  const bool good = std::all_of(paths.begin(), paths.end(),
                                [](const Node* path) { return path->is_text() && !path->text().empty(); });
  if (!good || paths.empty()) {
    fail(Exit::usage, extends.origin.text(), ": extends = ", shown(extends),
         ", allowed: the path of a TOML file or a list of paths.");
  }
  return paths;
}

// `chain`: the files that led here, outermost first. `files`: how many have been read.
Node read_file(const std::string& path, const std::string& place, std::vector<std::string> chain,
               int& files) {
  if (++files > kMostFiles)
    fail(Exit::usage, place, "extends reads more than ", kMostFiles, " files, allowed: ", kMostFiles, ".");
  std::error_code ignored;
  for (size_t i = 0; i < chain.size(); ++i) {
    if (!fs::equivalent(chain[i], path, ignored)) continue;
    std::string circle;
    for (size_t k = i; k < chain.size(); ++k) circle += chain[k] + " -> ";
    fail(Exit::usage, place, "extends goes in a circle: ", circle, path, ".");
  }
  Node own = parse_toml(read_text(path, place), path);
  const Node* extends = own.find("extends");
  if (!extends) return own;
  chain.push_back(path);
  Node root;
  for (const Node* base : bases(*extends)) {
    merge(root, read_file(path_of(*base, "extends"), base->origin.text() + ": ", chain, files));
  }
  own.erase("extends");
  merge(root, std::move(own));
  return root;
}

void stamp(Node& node, const Origin& origin) {
  node.origin = node.key_origin = origin;
  if (node.is_array()) {
    for (Node& child : node.array()) stamp(child, origin);
  } else if (node.is_table()) {
    for (auto& [key, child] : node.table()) stamp(child, origin);
  }
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

std::pair<std::string, std::string> split_set(const std::string& set) {
  const size_t equals = set.find('=');
  const std::string key = trimmed(set.substr(0, equals));
  const bool bad_key =
      key.empty() || key.front() == '.' || key.back() == '.' || key.find("..") != std::string::npos;
  if (equals == std::string::npos || bad_key) fail(Exit::usage, "--set ", set, ": expected KEY=VALUE.");
  if (!is_utf8(set)) fail(Exit::usage, "--set ", set, ": is not UTF-8.");
  return {key, trimmed(set.substr(equals + 1))};
}

Node parse_value(const std::string& value, const std::string& set) {
  return argument_value(value, "--set " + set);
}

}  // namespace

Node argument_value(const std::string& value, const std::string& argument) {
  Node node;
  node.value = value;
  try {
    const Node parsed = parse_toml("value = " + value, "");
    if (parsed.table().size() == 1) node = parsed.table()[0].second;
  } catch (const Error&) {
    if (!value.empty() && std::strchr("\"'[{", value[0]))
      fail(Exit::usage, argument, ": VALUE is not valid TOML.");
  }
  stamp(node, {argument, 0, 0});
  return node;
}

void override_with(Node& root, const std::vector<std::string>& sets) {
  for (const std::string& set : sets) {
    const auto [key, value] = split_set(set);
    override_value(root, key, parse_value(value, set));
  }
}

Node load_experiment(const std::string& path, const std::vector<std::string>& sets,
                     const std::string& place) {
  int files = 0;
  Node root = read_file(path, place, {}, files);
  override_with(root, sets);
  return root;
}

Node table_of_sets(const std::vector<std::string>& sets, const std::string& table) {
  Node root;
  root.set(table, {Node::Table{}, {"--set", 0, 0}, {"--set", 0, 0}});
  for (const std::string& set : sets) {
    const auto [key, value] = split_set(set);
    override_value(root, key.starts_with(table + ".") ? key : table + "." + key, parse_value(value, set));
  }
  return root;
}

std::vector<std::string> set_keys(const std::vector<std::string>& sets) {
  std::vector<std::string> keys;
  for (const std::string& set : sets) keys.push_back(split_set(set).first);
  return keys;
}

}  // namespace foil
