// SPDX-License-Identifier: BSD-3-Clause
// The comparison as whole texts, in each format.
#include "study/table.h"

#include "folder.h"

#include <foil/error.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using foil::Comparison;
using foil::Format;
using foil::render;
using foil::Row;

namespace {

Row row(const std::string& name, const std::map<std::string, foil::BySeed>& metrics,
        const std::string& protocol = "knn20") {
  Row made;
  made.name = name;
  made.protocol = metrics.empty() ? "" : protocol;
  made.metrics = metrics;
  for (const auto& [metric, values] : metrics) {
    for (const auto& [seed, value] : values) made.folders[seed] = "";
  }
  return made;
}

Row baseline(const std::string& name, const std::map<std::string, foil::BySeed>& metrics) {
  Row made = row(name, metrics);
  made.baseline = true;
  return made;
}

Comparison quickstart() {
  Comparison comparison;
  comparison.rows = {
      baseline("raw pixels", {{"knn", {{0, 84.51}}}, {"linear", {{0, 84.0}}}}),
      baseline("untrained", {{"knn", {{0, 80.75}, {1, 81.0}}}, {"linear", {{0, 83.0}, {1, 83.5}}}}),
      row("infonce", {{"features.rank", {{0, 30.5}, {1, 31.0}}},
                      {"knn", {{0, 86.0}, {1, 86.25}}},
                      {"linear", {{0, 88.5}, {1, 88.0}}}}),
      row("dcl", {{"knn", {{0, 86.5}, {1, 86.25}}}, {"linear", {{0, 87.0}}}})};
  comparison.rows[3].unfinished = {{2, "failed", "loss is nan at step 12"}, {3, "waiting", ""}};
  return comparison;
}

// Three seeds, so that there is a p: the differences 1, 1/2, 1/2 have t = 4, and of two degrees p = 1 - 4 /
// sqrt(18) = 0.0571909584; of the 8 choices of signs two have a mean as far from 0.
Comparison three_seeds() {
  Comparison comparison;
  comparison.rows = {row("infonce", {{"knn", {{0, 86.0}, {1, 86.25}, {2, 86.5}}}}),
                     row("dcl", {{"knn", {{0, 87.0}, {1, 86.75}, {2, 87.0}}}})};
  return comparison;
}

// An error rate that calls itself "miss", with three digits, lower is better, before a reciprocal rank.
Comparison lower_is_better() {
  Comparison comparison;
  comparison.rows = {baseline("raw pixels", {{"miss", {{0, 0.3125}}}, {"mrr", {{0, 0.5}}}}),
                     row("infonce", {{"miss", {{0, 0.25}, {1, 0.2265625}}}, {"mrr", {{0, 0.784}}}}),
                     row("dcl", {{"miss", {{0, 0.125}, {1, 0.1328125}}}, {"mrr", {{0, 0.75}}}}),
                     row("supcon", {{"miss", {{0, 0.125}, {1, 0.140625}}}, {"turns", {{0, 4}}}})};
  for (Row& one : comparison.rows) {
    one.measures = {{"miss", {"missed", "of 1", 3, foil::Better::lower, true, 1}},
                    {"mrr", {"MRR", "", 3, foil::Better::higher, true, 2}},
                    {"turns", {"turns", "", 0, foil::Better::neither, true, 3}}};
  }
  return comparison;
}

}  // namespace

TEST(Table, IsPlainTextWithTheBestMarked) {
  EXPECT_EQ(render(quickstart(), Format::table),
            "protocol knn20\n"
            "variant        kNN %          linear %     n   kNN - infonce       p\n"
            "raw pixels     84.5           84.0         1\n"
            "untrained      80.9 ± 0.2     83.2 ± 0.4   2\n"
            "infonce      = 86.1 ± 0.2   * 88.2 ± 0.4   2                       -\n"
            "dcl          * 86.4 ± 0.2     87.0 (n=1)   2   +0.2 [-2.9, +3.4]   n < 3\n"
            "failed: dcl seed 2: loss is nan at step 12\n"
            "waiting: dcl seed 3\n"
            "= level with the best variant: the 95 % interval of the difference by seed holds 0.\n"
            "Differences by seed with their 95 % interval; p: exact sign-flip test.\n"
            "2 seeds cannot reach p < 0.05 here, 6 can.\n");
}

TEST(Table, TestsAgainstTheFirstVariantFromThreeSeedsOn) {
  EXPECT_EQ(render(three_seeds(), Format::table),
            "protocol knn20\n"
            "variant     kNN %        n   kNN - infonce       p\n"
            "infonce   = 86.2 ± 0.2   3                       -\n"
            "dcl       * 86.9 ± 0.1   3   +0.7 [-0.1, +1.4]   0.250\n"
            "= level with the best variant: the 95 % interval of the difference by seed holds 0.\n"
            "Differences by seed with their 95 % interval; p: exact sign-flip test.\n"
            "3 seeds cannot reach p < 0.05 here, 6 can.\n");
}

TEST(Table, CorrectsForTheVariantsAndTestsAgainstTheReferenceThatIsAsked) {
  foil::BySeed a, b, c;
  for (int64_t seed = 0; seed < 8; ++seed) {
    a[seed] = 80 + 0.1 * static_cast<double>(seed % 3);
    b[seed] = a[seed] + 2 + 0.1 * static_cast<double>(seed);
    c[seed] = a[seed] + 0.5 * static_cast<double>(seed % 2 ? 1 : -1);
  }
  Comparison comparison;
  comparison.rows = {row("a", {{"knn", a}}), row("b", {{"knn", b}}), row("c", {{"knn", c}})};
  const auto table = foil::tabulate(comparison).at(0);
  EXPECT_EQ(table.reference, "a");
  EXPECT_NEAR(table.rows[1].cells.at("knn").test->holm.value(), 2.0 * 2 / 256, 1e-12);
  EXPECT_EQ(table.rows[2].cells.at("knn").test->holm.value(), 1.0);
  EXPECT_FALSE(table.rows[0].cells.at("knn").level);
  const auto other = foil::tabulate(comparison, "b").at(0);
  EXPECT_EQ(other.reference, "b");
  EXPECT_FALSE(other.rows[1].cells.at("knn").test.has_value());
  EXPECT_NEAR(other.rows[0].cells.at("knn").test->difference, -2.35, 1e-12);
  EXPECT_EQ(foil_test::error_of<foil::Error>([&] { foil::tabulate(comparison, "bb"); }),
            "2: --reference bb: no such variant. Known variants: a, b, c.");
}

TEST(Table, IsMarkdownWithTheBestBold) {
  EXPECT_EQ(render(quickstart(), Format::markdown),
            "Protocol: `knn20`\n\n"
            "| variant | kNN % | linear % | n | kNN - infonce | p |\n"
            "| --- | --- | --- | --- | --- | --- |\n"
            "| raw pixels | 84.5 | 84.0 | 1 |  |  |\n"
            "| untrained | 80.9 ± 0.2 | 83.2 ± 0.4 | 2 |  |  |\n"
            "| infonce | 86.1 ± 0.2 = | **88.2 ± 0.4** | 2 |  | - |\n"
            "| dcl | **86.4 ± 0.2** | 87.0 (n=1) | 2 | +0.2 [-2.9, +3.4] | n \\< 3 |\n"
            "\n"
            "- failed: dcl seed 2: loss is nan at step 12\n"
            "- waiting: dcl seed 3\n"
            "- = level with the best variant: the 95 % interval of the difference by seed holds 0.\n"
            "- Differences by seed with their 95 % interval; p: exact sign-flip test.\n"
            "- 2 seeds cannot reach p \\< 0.05 here, 6 can.\n");
}

TEST(Table, IsCsvWithALineAMetric) {
  auto comparison = three_seeds();
  comparison.rows.push_back(row("supcon, \"hard\"", {}));
  comparison.rows.back().unfinished = {{0, "failed", "no labels"}, {1, "failed", "no labels"}};
  EXPECT_EQ(render(comparison, Format::csv),
            "protocol,variant,metric,n,mean,spread,best,level,pairs,difference,low,high,p_t,p_sign_flip,p_"
            "holm,values,unfinished\n"
            "knn20,infonce,knn,3,86.25,0.25,0,1,,,,,,,,0:86 1:86.25 2:86.5,\n"
            "knn20,dcl,knn,3,86.91666667,0.1443375673,1,0,3,0.6666666667,-0.05044212162,1.383775455,0."
            "05719095842,0.25,0.25,"
            "0:87 1:86.75 2:87,\n"
            "knn20,\"supcon, \"\"hard\"\"\",,0,,,,,,,,,,,,,\"failed: supcon, \"\"hard\"\" seed 0: no labels; "
            "failed: supcon, \"\"hard\"\" seed 1: no labels\"\n");
}

TEST(Table, IsJsonThatReadsBack) {
  const auto json = nlohmann::json::parse(render(quickstart(), Format::json));
  const auto& table = json.at("tables").at(0);
  EXPECT_EQ(table.at("protocol"), "knn20");
  EXPECT_EQ(table.at("reference"), "infonce");
  const auto& infonce = table.at("rows").at(2);
  EXPECT_EQ(infonce.at("metrics").at("features.rank").at("mean"), 30.75);
  EXPECT_EQ(infonce.at("metrics").at("features.rank").at("best"), false);
  const auto expected = nlohmann::json::parse(R"({"variant": "dcl", "baseline": false, "n": 2, "metrics": {
      "knn": {"n": 2, "mean": 86.375, "spread": 0.1767766952966369, "best": true, "level": false, "values": {"0": 86.5, "1": 86.25}},
      "linear": {"n": 1, "mean": 87.0, "spread": null, "best": false, "level": false, "values": {"0": 87.0}}},
      "unfinished": [{"seed": 2, "state": "failed", "reason": "loss is nan at step 12"}, {"seed": 3, "state": "waiting", "reason": ""}]})");
  auto dcl = table.at("rows").at(3);
  const auto test = dcl.at("metrics").at("knn").at("test");
  EXPECT_EQ(test.at("pairs"), 2);
  EXPECT_EQ(test.at("difference"), 0.25);
  EXPECT_NEAR(test.at("interval").at(0).get<double>(), -2.9265511841, 1e-9);
  EXPECT_EQ(test.at("p_holm"), nullptr);
  for (const char* metric : {"knn", "linear"}) dcl.at("metrics").at(metric).erase("test");
  EXPECT_EQ(dcl, expected);
  EXPECT_EQ(table.at("rows").at(0).at("baseline"), true);
}

TEST(Table, AVariantOfWhichSeedsWerePrunedIsShownButNeitherBestNorTested) {
  Comparison comparison;
  comparison.rows = {row("infonce", {{"knn", {{0, 80}, {1, 81}, {2, 82}}}}),
                     row("dcl", {{"knn", {{0, 83}, {1, 84}, {2, 86}}}}),
                     row("hcl", {{"knn", {{1, 90}, {2, 91}}}})};
  comparison.rows[2].unfinished = {{0, "pruned", "after epoch 1"}};
  const std::string out = render(comparison, Format::markdown);
  EXPECT_NE(out.find("| hcl | 90.5 ± 0.7 | 2 |  | pruned |"), std::string::npos) << out;
  EXPECT_NE(out.find("**84.3 ± 1.5**"), std::string::npos) << out;
  EXPECT_NE(out.find("pruned: hcl seed 0: after epoch 1"), std::string::npos) << out;
  EXPECT_EQ(out.find("corrected for"), std::string::npos) << "one variant is tested: " << out;
  std::swap(comparison.rows[0], comparison.rows[2]);
  EXPECT_NE(render(comparison, Format::markdown).find("kNN - dcl"), std::string::npos)
      << "no reference unless it is named: " << render(comparison, Format::markdown);
}

TEST(Table, NeverMixesProtocols) {
  Comparison comparison;
  comparison.rows = {row("infonce", {{"knn", {{0, 86.0}, {1, 86.25}}}}, "knn20"),
                     row("dcl", {{"knn", {{0, 99.0}}}}, "knn200"),
                     row("supcon", {{"knn", {{0, 86.5}}}}, "knn20"),
                     row("mixco", {{"knn", {{0, 98.0}}}}, "knn200")};
  EXPECT_EQ(render(comparison, Format::table),
            "protocol knn20\n"
            "variant     kNN %        n   kNN - infonce   p\n"
            "infonce     86.1 ± 0.2   2                   -\n"
            "supcon    * 86.5         1   +0.5            n < 3\n"
            "Differences by seed with their 95 % interval; p: exact sign-flip test.\n"
            "1 seed cannot reach p < 0.05 here, 6 can.\n"
            "\n"
            "protocol knn200\n"
            "variant     kNN %   n   kNN - dcl   p\n"
            "dcl       * 99.0    1               -\n"
            "mixco       98.0    1   -1.0        n < 3\n"
            "Differences by seed with their 95 % interval; p: exact sign-flip test.\n"
            "1 seed cannot reach p < 0.05 here, 6 can.\n");
}

TEST(Table, ARowThatLacksSomeMeasuresStandsWithThoseThatHaveThem) {
  Comparison comparison;
  comparison.rows = {row("grace", {{"knn", {{0, 77}}}}, "cora knn20"),
                     row("scgc", {{"knn", {{0, 54}}}, {"linear", {{0, 60}}}}, "cora knn20 linear-a"),
                     row("pamc", {{"knn", {{0, 55}}}, {"linear", {{0, 61}}}}, "cora knn20 linear-b"),
                     row("raw", {{"knn", {{0, 52}}}}, "cora knn20")};
  const auto tables = foil::tabulate(comparison);
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].protocol, "cora knn20 linear-a");
  ASSERT_EQ(tables[0].rows.size(), 3u);
  EXPECT_EQ(tables[0].rows[2].name, "raw");
  EXPECT_EQ(tables[1].rows.at(0).name, "pamc") << "its linear is measured otherwise";
}

TEST(Table, ShowsAVariantWhoseTrialsAllFailed) {
  Comparison comparison;
  comparison.rows = {row("infonce", {}), row("dcl", {{"knn", {{0, 86.0}}}})};
  comparison.rows[0].unfinished = {{0, "failed", "two\nlines"}};
  EXPECT_EQ(render(comparison, Format::table),
            "protocol knn20\n"
            "variant     kNN %   n   kNN - infonce   p\n"
            "infonce             0                   -\n"
            "dcl         86.0    1                   n < 3\n"
            "failed: infonce seed 0: two lines\n"
            "Differences by seed with their 95 % interval; p: exact sign-flip test.\n"
            "No seed is shared with infonce.\n");
  comparison.rows.pop_back();
  EXPECT_EQ(render(comparison, Format::table),
            "variant   n\n"
            "infonce   0\n"
            "failed: infonce seed 0: two lines\n");
}

// A comparison of what others wrote into their names and reasons.
Comparison hostile(const std::string& name) {
  Comparison comparison;
  comparison.rows = {row(name, {{"knn", {{0, 86.0}}}, {name, {{0, 1.0}}}}, "knn20" + name),
                     row("dcl", {}, "")};
  comparison.rows[0].measures[name] = {name, name, 1, foil::Better::higher, true, 9};
  comparison.rows[1].unfinished = {{0, "failed", name}};
  return comparison;
}

TEST(Table, LetsNothingOfANameActOnTheTerminal) {
  for (const std::string name : {"\x1b]0;mine\x07", "a\x9b\x31m", "\xc2\x9b\x31m", "a\rb",
                                 "\xe2\x80\xae"
                                 "abc",
                                 "\xff"}) {
    for (const Format format : {Format::table, Format::markdown, Format::csv}) {
      const std::string text = render(hostile(name), format);
      EXPECT_EQ(text.find(name), std::string::npos) << text;
      EXPECT_EQ(std::count_if(text.begin(), text.end(),
                              [](unsigned char c) { return c != '\n' && (c < ' ' || c == 0x7f); }),
                0)
          << text;
    }
  }
}

TEST(Table, GivesASpreadsheetNoFormula) {
  for (const std::string name :
       {"=1+1", "+1+1", "-1+1", "@SUM(1)", "=HYPERLINK(\"x\",\"y\")", "-inf", "＝1+1", "-"}) {
    Comparison comparison;
    comparison.rows = {row(name, {{"knn", {{0, -86.5}}}}, name)};
    const std::string text = render(comparison, Format::csv);
    std::string quoted = "'" + name;
    if (name.find('"') != std::string::npos) quoted = "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"";
    EXPECT_NE(text.find("\n" + quoted + "," + quoted + ",knn,1,-86.5,"), std::string::npos) << text;
  }
  Comparison numbers;
  numbers.rows = {row("-1.5e-3", {{"knn", {{0, 86.0}}}}, "+7")};
  EXPECT_NE(render(numbers, Format::csv).find("\n+7,-1.5e-3,knn,"), std::string::npos);
}

TEST(Table, GivesMarkdownNoLinkNoHtmlAndNoCode) {
  const std::string text =
      render(hostile("[a](javascript:b) <img src=x> `c` | &lt; [1, 2]"), Format::markdown);
  const std::string plain = "[a\\](javascript:b) \\<img src=x> \\`c\\` \\| \\&lt; [1, 2]";
  EXPECT_NE(text.find("| " + plain + " |"), std::string::npos) << text;
  EXPECT_EQ(text.find("Protocol: `knn20[a](javascript:b) <img src=x> 'c' | &lt; [1, 2]`\n"), 0u) << text;
  EXPECT_NE(text.find("- failed: dcl seed 0: " + plain + "\n"), std::string::npos) << text;
}

TEST(Table, ShowsAMeasureAsItSaysItself) {
  EXPECT_EQ(render(lower_is_better(), Format::table),
            "protocol knn20\n"
            "variant        missed of 1 ↓     MRR             turns     n   missed - infonce          p\n"
            "raw pixels     0.312             0.500                     1\n"
            "infonce      = 0.238 ± 0.017   * 0.784 (n=1)               2                             -\n"
            "dcl          * 0.129 ± 0.006     0.750 (n=1)               2   -0.109 [-0.308, +0.089]   n < 3\n"
            "supcon       = 0.133 ± 0.011                     4 (n=1)   2   -0.105 [-0.354, +0.143]   n < 3\n"
            "↓ lower is better.\n"
            "= level with the best variant: the 95 % interval of the difference by seed holds 0.\n"
            "Differences by seed (below 0 is better than the reference) with their 95 % interval; p: exact "
            "sign-flip test, corrected for 2 variants (Holm).\n"
            "2 seeds cannot reach p < 0.05 here, 7 can.\n");
}

TEST(Table, ShowsAMeasureAsItSaysItselfInMarkdownCsvAndJson) {
  const std::string markdown = render(lower_is_better(), Format::markdown);
  EXPECT_NE(markdown.find("| variant | missed of 1 ↓ | MRR | turns | n | missed - infonce | p |\n"),
            std::string::npos)
      << markdown;
  EXPECT_NE(markdown.find("| dcl | **0.129 ± 0.006** | 0.750 (n=1) |"), std::string::npos) << markdown;
  EXPECT_NE(markdown.find("- ↓ lower is better.\n"), std::string::npos) << markdown;
  const std::string csv = render(lower_is_better(), Format::csv);
  EXPECT_NE(csv.find("knn20,dcl,miss,2,0.12890625,0.005524271728,1,0,"), std::string::npos) << csv;
  EXPECT_NE(csv.find("knn20,raw pixels,miss,1,0.3125,,0,0,"), std::string::npos) << csv;
  EXPECT_NE(csv.find("knn20,supcon,turns,1,4,,0,0,"), std::string::npos) << csv;
  const auto json = nlohmann::json::parse(render(lower_is_better(), Format::json)).at("tables").at(0);
  EXPECT_EQ(json.at("measures").at("miss"),
            nlohmann::json::parse(R"({"title": "missed", "unit": "of 1", "digits": 3, "better": "lower",
                                      "headline": true, "column": 1})"));
  EXPECT_EQ(json.at("rows").at(2).at("metrics").at("miss").at("best"), true);
}

TEST(Table, TakesWhatARecordSaysBeforeWhatIsKnownOfOldOnes) {
  Comparison comparison;
  comparison.rows = {row("old", {{"knn", {{0, 86.0}}}, {"auc", {{0, 1}}}}),
                     row("new", {{"knn", {{0, 87.0}}}, {"auc", {{0, 2}}}})};
  comparison.rows[1].measures = {{"knn", {"nearest", "%", 2, foil::Better::higher, true, 1}}};
  const auto table = foil::tabulate(comparison).at(0);
  EXPECT_EQ(table.headline, (std::vector<std::string>{"knn"}));
  EXPECT_EQ(foil::heading(table.measures.at("knn")), "nearest %");
  EXPECT_EQ(foil::cell_text(table, table.rows[0], "knn"), "86.00");
}

TEST(Table, OrdersHeadlineMetricsByColumnThenDiagnostics) {
  Comparison comparison;
  comparison.rows = {
      row("a", {{"auc", {{0, 1}}}, {"features.a", {{0, 1}}}, {"linear", {{0, 1}}}, {"knn", {{0, 1}}}})};
  comparison.rows[0].measures["auc"] = {"AUC", "", 3, foil::Better::higher, true, 3};
  const auto table = foil::tabulate(comparison).at(0);
  EXPECT_EQ(table.metrics, (std::vector<std::string>{"knn", "linear", "auc", "features.a"}));
  EXPECT_EQ(table.headline, (std::vector<std::string>{"knn", "linear", "auc"}));
}

TEST(Table, MarksEveryRowOfATie) {
  Comparison comparison;
  comparison.rows = {row("a", {{"knn", {{0, 86.0}}}}), row("b", {{"knn", {{0, 85.0}}}}),
                     row("c", {{"knn", {{0, 85.5}, {1, 86.5}}}})};
  const auto table = foil::tabulate(comparison).at(0);
  EXPECT_TRUE(table.rows[0].cells.at("knn").best);
  EXPECT_FALSE(table.rows[1].cells.at("knn").best);
  EXPECT_TRUE(table.rows[2].cells.at("knn").best);
}

TEST(Table, NamesTheFormatsItKnows) {
  EXPECT_EQ(foil::parse_format("json"), Format::json);
  EXPECT_EQ(foil::parse_format("markdown"), Format::markdown);
  EXPECT_EQ(foil_test::error_of<foil::Error>([] { foil::parse_format("markdwn"); }),
            "2: unknown format markdwn. Known formats: table, csv, json, markdown, latex. Did you mean "
            "'markdown'?");
}

TEST(Table, RowsOfTwoDataSetsStandInTwoTables) {
  Comparison comparison;
  comparison.rows = {row("a", {{"knn", {{0, 1.0}}}}), row("b", {{"knn", {{0, 2.0}}}}),
                     row("c", {{"knn", {{0, 3.0}}}})};
  comparison.rows[0].data = "crc32:1";
  comparison.rows[1].data = "crc32:2";  // c does not know
  const auto tables = foil::tabulate(comparison);
  ASSERT_EQ(tables.size(), 2u);
  EXPECT_EQ(tables[0].protocol, "knn20 data crc32:1");
  EXPECT_EQ(tables[1].protocol, "knn20 data crc32:2");
  ASSERT_EQ(tables[0].rows.size(), 2u);
  EXPECT_EQ(tables[0].rows[1].name, "c");
  EXPECT_EQ(tables[1].rows[0].name, "b");
}
