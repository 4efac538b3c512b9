// SPDX-License-Identifier: BSD-3-Clause
#include "config/dump.h"

#include "config/parse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace foil {
namespace {

// Equal values of equal types, whatever the order of keys; nan equals nan, -0.0 differs from 0.0.
bool same(const Node& a, const Node& b) {
  if (a.value.index() != b.value.index()) return false;
  if (a.is_table()) {
    if (a.table().size() != b.table().size()) return false;
    for (const auto& [key, child] : a.table()) {
      if (const Node* other = b.find(key); !other || !same(child, *other)) return false;
    }
    return true;
  }
  if (a.is_array())
    return std::equal(a.array().begin(), a.array().end(), b.array().begin(), b.array().end(), same);
  if (!std::holds_alternative<double>(a.value)) return to_toml(a) == to_toml(b);
  const double x = a.number(), y = b.number();
  return std::isnan(x) ? std::isnan(y) : x == y && std::signbit(x) == std::signbit(y);
}

// Random trees of every type, with the strings, keys and numbers that are hard to write.
class Trees {
 public:
  Node table(int depth) {
    Node node{Node::Table{}, {}, {}};
    for (uint64_t n = random_() % 6; n > 0; --n) node.set(keys_[random_() % keys_.size()], any(depth));
    return node;
  }

 private:
  Node any(int depth) {
    switch (random_() % (depth > 0 ? 8 : 4)) {
      case 0:
        return {random_() % 2 == 0, {}, {}};
      case 1:
        return {integers_[random_() % integers_.size()], {}, {}};
      case 2:
        return {random_() % 2 ? numbers_[random_() % numbers_.size()]
                              : std::ldexp(double(random_()), int(random_() % 1000) - 600),
                {},
                {}};
      case 3:
        return {texts_[random_() % texts_.size()], {}, {}};
      case 4:
        return list(depth, false);
      case 5:
        return list(depth, true);
      default:
        return table(depth - 1);
    }
  }
  Node list(int depth, bool of_tables) {
    Node node{Node::Array{}, {}, {}};
    for (uint64_t n = random_() % 4; n > 0; --n)
      node.array().push_back(of_tables ? table(depth - 1) : any(depth - 1));
    return node;
  }
  std::mt19937_64 random_{7};
  std::vector<std::string> keys_ = {"a",       "b-c",      "D_9", "loss.temperature", "", "with space",
                                    "quo\"te", "\xc3\xbc", "1"};
  std::vector<std::string> texts_ = {"",
                                     "plain",
                                     "a \"b\" \\ c",
                                     "line\nline\ttab\r",
                                     std::string("nul\0\x01\x7f", 6),
                                     "# no comment",
                                     "\xc3\xbc\xf0\x9f\x8c\x8d"};
  std::vector<int64_t> integers_ = {0, -1, 42, std::numeric_limits<int64_t>::max(),
                                    std::numeric_limits<int64_t>::min()};
  std::vector<double> numbers_ = {
      0.0, -0.0, 1, 0.1, 1e300, 5e-324, 1e16, 123456789012345680.0, -2.5e-7, INFINITY, -INFINITY, NAN};
};

TEST(Dump, ReadsBackToTheSameTree) {
  Trees trees;
  size_t bytes = 0;
  for (int i = 0; i < 500; ++i) {
    const Node root = trees.table(4);
    const std::string text = dump(root, i % 2 == 0);
    bytes += text.size();
    ASSERT_TRUE(same(root, parse_toml(text, "dump"))) << text;
    ASSERT_TRUE(same(root, parse_toml(to_toml({Node::Table{{"x", root}}, {}, {}}).insert(0, "y = "), "line")
                               .find("y")
                               ->table()[0]
                               .second))
        << text;
  }
  EXPECT_GT(bytes, 50000u);
}

TEST(Dump, WritesTablesAfterValuesWithOrigins) {
  const Node root = parse_toml(
      "[run]\nname = \"x\"\n[run.deep]\nk = 1\n[[loss]]\ntemperature = 1.0\n[[loss]]\nscales = [1, 2.5]\n",
      "a.toml");
  EXPECT_EQ(dump(root, true),
            "[run]\nname = \"x\"  # a.toml:2:8\n\n[run.deep]\nk = 1  # a.toml:4:5\n\n[[loss]]\ntemperature = "
            "1.0  # a.toml:6:15\n\n"
            "[[loss]]\nscales = [1, 2.5]  # a.toml:8:10\n");
  EXPECT_EQ(dump(root, false),
            "[run]\nname = \"x\"\n\n[run.deep]\nk = 1\n\n[[loss]]\ntemperature = 1.0\n\n[[loss]]\nscales = "
            "[1, 2.5]\n");
}

TEST(Dump, KeepsACommentOnOneLine) {
  const Node root{Node::Table{{"k", {int64_t{1}, {"--set k=1\nw = 2", 0, 0}, {}}}}, {}, {}};
  EXPECT_EQ(dump(root, true), "k = 1  # --set k=1\\x0aw = 2\n");
}

TEST(Flatten, NamesElementsOfTableListsOnlyWhenThereAreSeveral) {
  const Node one = parse_toml("[[loss]]\nt = 0.1\nd = [1, 2]\n[empty]\n", ""),
             two = parse_toml("[[loss]]\nt = 1\n[[loss]]\nt = 2\n", "");
  EXPECT_EQ(flatten(one),
            (std::map<std::string, std::string>{{"empty", "{}"}, {"loss.d", "[1, 2]"}, {"loss.t", "0.1"}}));
  EXPECT_EQ(flatten(two), (std::map<std::string, std::string>{{"loss.0.t", "1"}, {"loss.1.t", "2"}}));
}

TEST(Differences, ListChangedAddedAndMissingValuesButNotTheIgnored) {
  const Node before = parse_toml(
      "[loss]\ntemperature = 0.1\nold = true\n[log]\nevery = 1\n[login]\nk = 1\n[run]\noutput = \"a\"\nname "
      "= \"n\"\n",
      "");
  const Node after = parse_toml(
      "[loss]\ntemperature = 0.2\nnew = \"x\"\n[log]\nevery = 2\n[login]\nk = 2\n[run]\noutput = \"b\"\nname "
      "= \"n\"\n",
      "");
  EXPECT_EQ(differences(before, after, {"log", "run.output"}),
            (std::vector<std::string>{"login.k: 1 -> 2", "loss.new: (absent) -> \"x\"",
                                      "loss.old: true -> (absent)", "loss.temperature: 0.1 -> 0.2"}));
  EXPECT_TRUE(differences(before, before).empty());
}

TEST(AsRecorded, LeavesOutTheDefaultsThatAnOlderRecordDoesNotKnow) {
  const Node record = parse_toml("[loss]\nt = 0.1\n[[augment]]\np = 1\n", "");
  Node now = parse_toml(
      "[loss]\nt = 0.2\nyoung = 1\ngiven = 2\n[train]\nyoung = 3\n[[augment]]\np = 1\nyoung = 4\n", "");
  for (const char* young : {"loss.young", "loss.t", "train.young", "augment.young"})
    at_path(now, young)->origin = {"default", 0, 0};
  EXPECT_EQ(differences(record, as_recorded(now, record)),
            (std::vector<std::string>{"loss.given: (absent) -> 2", "loss.t: 0.1 -> 0.2"}));
  EXPECT_EQ(dump(as_recorded(now, now), false), dump(now, false));
}

}  // namespace
}  // namespace foil
