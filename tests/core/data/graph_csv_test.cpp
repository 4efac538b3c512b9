// SPDX-License-Identifier: BSD-3-Clause
// A folder as the Open Graph Benchmark packs it, written here, and what is refused of it.
#include "data/graph_csv.h"

#include "bad_data.h"
#include "data/record.h"

#include <torch/types.h>

namespace foil {
namespace {

using test::bytes_of;
using test::error_of;
using test::Folder;
using test::gzip;

Tensor ints(const std::vector<int64_t>& values) { return torch::tensor(values, torch::kLong); }

void write_four(const Folder& folder) {
  folder.write("raw/edge.csv.gz", gzip(bytes_of("0,1\n2,0\n1,3\n")));
  folder.write("raw/node-feat.csv", bytes_of("0.5,-1e-3\r\n1,2\n-0.25, 3\n1e-50,0\n\n"));
  folder.write("raw/node-label.csv.gz", gzip(bytes_of("1\n0\n1\nnan\n")));
  folder.write("split/time/train.csv", bytes_of("0\n"));
  folder.write("split/time/valid.csv", bytes_of("1\n"));
  folder.write("split/time/test.csv", bytes_of("2\n"));
}

GraphCsv::Options options_of(const Folder& folder) { return {folder.path(), "", {}}; }

TEST(GraphCsv, IsTheNumbersOfItsFiles) {
  const Folder folder;
  write_four(folder);
  GraphCsv::Options options = options_of(folder);
  options.form.undirected = true;
  const GraphCsv data(options);
  const View view = data.read(Split::train, ints({}))[0];
  EXPECT_TRUE(view.data.equal(torch::tensor({{0.5F, -1e-3F}, {1.F, 2.F}, {-0.25F, 3.F}, {0.F, 0.F}})));
  EXPECT_TRUE(view.edges.ends.equal(ints({0, 2, 1, 1, 0, 3, 1, 0, 3, 0, 2, 1}).view({2, 6})));
  EXPECT_TRUE(data.node_labels().equal(ints({1, 0, 1, -1})));
  EXPECT_TRUE(data.nodes(Split::validation).equal(ints({1})));
  EXPECT_EQ(data_line(data_record("graph_csv", data)),
            "data: graph_csv, 4 training samples, 1 validation sample, 1 test sample, 2 classes");
}

TEST(GraphCsv, LiesInOneFolderAndMayLackLabelsAndSplits) {
  const Folder folder;
  folder.write("edge.csv", bytes_of("0,1\n"));
  folder.write("node-feat.csv", bytes_of("1\n2"));
  const GraphCsv data(options_of(folder));
  EXPECT_EQ(data.size(Split::train), 2);
  EXPECT_TRUE(data.classes().empty());
  EXPECT_EQ(data.size(Split::test), 0);
}

TEST(GraphCsv, TakesTheSplitThatIsNamed) {
  const Folder folder;
  write_four(folder);
  folder.write("split/random/test.csv", bytes_of("0\n1\n"));
  GraphCsv::Options options = options_of(folder);
  EXPECT_EQ(error_of([&] { GraphCsv{options}; }),
            "2 split = \"\", allowed where there are several: one of them. Known splits: random, time.");
  options.split = "random";
  EXPECT_EQ(GraphCsv(options).size(Split::test), 2);
  options.split = "tine";
  EXPECT_EQ(error_of([&] { GraphCsv{options}; }), "2 split = \"tine\": no such folder in " +
                                                      folder / "split" +
                                                      ". Known splits: random, time. Did you mean 'time'?");
}

TEST(GraphCsv, RefusesWhatIsNoGraphNamingThePlace) {
  const auto with = [](const char* file, const std::string& text) {
    return [=](const Folder& folder) { folder.write(file, bytes_of(text)); };
  };
  test::expect_messages(
      {{"a word", with("raw/node-feat.csv", "1,2\n1,two\n"),
        "5 FOLDER/raw/node-feat.csv:2: a cell is 'two', allowed: a number."},
       {"half a node", with("split/time/test.csv", "2\n1.5\n"),
        "5 FOLDER/split/time/test.csv:2: a cell is '1.5', allowed: an integer."},
       {"a header", with("split/time/train.csv", "node\n0\n"),
        "5 FOLDER/split/time/train.csv:1: a cell is 'node', allowed: an integer."},
       {"rows of two widths", with("raw/node-feat.csv", "1,2\n1,2,3\n"),
        "5 FOLDER/raw/node-feat.csv:2: 3 numbers, allowed: 2 in each line."},
       {"an empty line between", with("raw/node-feat.csv", "1,2\n\n1,2\n"),
        "5 FOLDER/raw/node-feat.csv:3: a line behind an empty one."},
       {"features that are none", with("raw/node-feat.csv", "1,2\n1,nan\n1,2\n1,2\n"),
        "5 FOLDER/raw/node-feat.csv: feature 1 of node 1 is nan, allowed: a finite number."},
       {"no node", with("raw/node-feat.csv", ""), "5 FOLDER/raw/node-feat.csv: holds no node."},
       {"fewer nodes than labels", with("raw/node-feat.csv", "1,2\n1,2\n"),
        "5 FOLDER/raw/edge.csv.gz: edge 1 comes from node 2, allowed: 0 to 1."},
       {"more nodes than labels", with("raw/node-feat.csv", "1\n1\n1\n1\n1\n"),
        "5 FOLDER/raw/node-label.csv.gz: 4 labels, but FOLDER/raw/node-feat.csv holds 5 nodes."},
       {"a test node without label", with("split/time/test.csv", "2\n3\n"),
        "5 FOLDER/split/time/test.csv: entry 1 is node 3, which has no label."},
       {"no features", [](const Folder& f) { std::filesystem::remove(f / "raw/node-feat.csv"); },
        "5 FOLDER/raw: no node-feat.csv[.gz] in it. To get it: unpack a node data set of ogb.stanford.edu, "
        "whose "
        "folder data.path names."},
       {"a file that was cut",
        [](const Folder& f) { f.write("raw/edge.csv.gz", test::cut(gzip(bytes_of("0,1\n2,0\n")), 15)); },
        "5 FOLDER/raw/edge.csv.gz: unexpected end of file."}},
      write_four, [](const Folder& folder) { GraphCsv{options_of(folder)}; });
  EXPECT_EQ(error_of([] { GraphCsv{GraphCsv::Options{}}; }),
            "2 path = \"\", allowed: the folder of raw/edge.csv.");
}

}  // namespace
}  // namespace foil
