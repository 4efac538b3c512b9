// SPDX-License-Identifier: BSD-3-Clause
// The report: self-contained, well formed, and it says what it must.
#include "study/report.h"

#include "folder.h"

#include <foil/error.h>

#include <gtest/gtest.h>

using foil_test::Folder;

namespace {

// Two variants with two seeds, a failed trial, names and values full of markup.
foil::Comparison sample(const Folder& folder) {
  foil::Comparison comparison;
  comparison.rows.resize(3);
  comparison.rows[0] = {"raw pixels", "knn20", true, {{"knn", {{0, 84.5}}}}, {}, {{0, folder.at("raw")}},
                        {},           {},      {}};
  comparison.rows[1] = {
      "infonce", "knn20",
      false,     {{"knn", {{0, 86.0}, {1, 86.25}}}, {"features.rank", {{0, 30.5}, {1, 31.5}}}},
      {},        {},
      {},        {},
      {}};
  comparison.rows[2] = {"dcl <b>&\"",
                        "knn20",
                        false,
                        {{"knn", {{0, 86.5}, {1, 86.75}}}},
                        {{2, "failed", "<script>alert(1)</script>"}},
                        {},
                        {},
                        {},
                        {}};
  comparison.rows[1].config = {{"loss.name", "infonce"}, {"optimizer.name", "adamw"}};
  comparison.rows[2].config = {{"loss.name", "dcl"}, {"loss.mask", "<exact>"}, {"optimizer.name", "adamw"}};
  for (size_t row = 1; row < 3; ++row) {
    for (const int64_t seed : {0, 1}) {
      const std::string name = "run" + std::to_string(row) + std::to_string(seed);
      std::string metrics;
      for (int step = 1; step <= 400; ++step) {
        metrics += "{\"step\": " + std::to_string(step) +
                   ", \"loss\": " + std::to_string(1.5 * row + 4.0 / step + 0.1 * seed);
        metrics += step % 100 == 0 ? ", \"knn\": " + std::to_string(80 + step / 100 + row) + "}\n" : "}\n";
      }
      folder.write(name + "/metrics.jsonl", metrics);
      folder.write(name + "/env.json", R"({"foil": "0.1.0", "hardware": {"cpu": "EPYC", "threads": )" +
                                           std::to_string(row) + "}}");
      comparison.rows[row].folders[seed] = folder.at(name);
    }
  }
  return comparison;
}

// The first tag that closes another than the one last opened, empty when all are closed in order. Empty
// elements are written <x/>.
std::string first_unbalanced(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::string tag = html.substr(at + 1, html.find('>', at) - at - 1);
    if (tag.empty() || tag.back() == '/' || tag[0] == '!') continue;
    if (tag[0] != '/') {
      open.push_back(tag.substr(0, tag.find_first_of(" \n")));
    } else {
      if (open.empty() || "/" + open.back() != tag) return tag;
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back();
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

TEST(Report, IsSelfContainedAndWellFormed) {
  Folder folder;
  const auto html = foil::report_html(sample(folder), "quick & dirty");
  EXPECT_EQ(first_unbalanced(html), "");
  const std::string xml_name = "xmlns=\"http://www.w3.org/2000/svg\"";  // a name and not an address
  EXPECT_EQ(count(html, "//"), count(html, xml_name));
  for (const std::string outside : {"src=", "href=", "url(", "@import", "<script ", "<link", "<iframe"})
    EXPECT_EQ(count(html, outside), 0u) << outside;
  EXPECT_EQ(count(html, "<script>"), 1u) << "that sorts tables";
  EXPECT_NE(html.find("<h1>quick &amp; dirty</h1>"), std::string::npos);
  EXPECT_NE(html.find("failed: dcl &lt;b&gt;&amp;&quot; seed 2: &lt;script&gt;alert(1)&lt;/script&gt;"),
            std::string::npos);
}

TEST(Report, DrawsEverySeedAndALineAVariantWithItsBand) {
  Folder folder;
  const auto html = foil::report_html(sample(folder), "quick");
  EXPECT_EQ(count(html, "<circle"), 5u);    // a dot a seed
  EXPECT_EQ(count(html, "<polyline"), 4u);  // loss and kNN of two variants
  EXPECT_EQ(count(html, "<polygon"), 4u);   // their bands
  for (const std::string title : {">loss</text>", ">kNN % while training</text>", "Differences to infonce"})
    EXPECT_NE(html.find(title), std::string::npos) << title;
}

TEST(Report, SaysWhatWasAskedAndHowToAskItAgain) {
  Folder folder;
  auto comparison = sample(folder);
  EXPECT_EQ(foil::report_html(comparison, "quick").find("run again"), std::string::npos);
  comparison.labels.commands = {"foil ablate e.toml"};
  const auto html = foil::report_html(comparison, "quick");
  for (const std::string fact :
       {"<th>run again</th><td class=\"value\">foil ablate e.toml</td>",
        "<th>seeds</th><td class=\"value\">0, 1</td>", "<th>reference</th><td class=\"value\">infonce</td>",
        "<th>protocol</th><td class=\"value\">knn20</td>",
        "<th>variants</th><td class=\"value\">2 with 4 finished trials</td>"})
    EXPECT_NE(html.find(fact), std::string::npos) << fact;
}

TEST(Report, CallsThingsAsTheyAreLabelled) {
  Folder folder;
  auto comparison = sample(folder);
  comparison.labels.variants = {{"infonce", "InfoNCE"}};
  comparison.labels.metrics = {{"knn", "k-NN accuracy"}};
  const auto html = foil::report_html(comparison, "quick", "infonce");
  EXPECT_NE(html.find("Differences to InfoNCE"), std::string::npos);
  EXPECT_NE(html.find("<th>k-NN accuracy %</th>"), std::string::npos);
  EXPECT_EQ(count(html, ">infonce<"), 2u) << "the value of a key, where it differs and in all of the first";
}

TEST(Report, ShowsTheFeaturesOfOneSeedAVariantAsAnImageThatRunsNothing) {
  Folder folder;
  const auto comparison = sample(folder);
  EXPECT_EQ(foil::report_html(comparison, "quick").find("<h2>Features</h2>"), std::string::npos);
  for (const char* run : {"run10", "run11", "run21"})
    folder.write(std::string(run) + "/features.svg", "<svg onload=\"alert('1')\">\xC2\xB1 #%</svg>");
  const auto html = foil::report_html(comparison, "quick");
  EXPECT_EQ(count(html, "<img "), 2u);
  EXPECT_EQ(
      count(html,
            "src=\"data:image/svg+xml,%3Csvg onload=%22alert%28%271%27%29%22%3E%C2%B1 %23%25%3C/svg%3E\""),
      2u);
  EXPECT_NE(html.find("<figcaption>infonce, seed 0</figcaption>"), std::string::npos);
  EXPECT_NE(html.find("<figcaption>dcl &lt;b&gt;&amp;&quot;, seed 1</figcaption>"), std::string::npos);
  EXPECT_EQ(first_unbalanced(html), "");
}

TEST(Report, ShowsAndDrawsAMeasureAsItSaysItself) {
  Folder folder;
  auto comparison = sample(folder);
  for (foil::Row& row : comparison.rows) {
    row.measures["knn"] = {"missed", "places", 3, foil::Better::lower, true, 1};
    row.measures["features.rank"] = {"features rank", "", 1, foil::Better::neither};
  }
  const auto html = foil::report_html(comparison, "quick");
  EXPECT_NE(html.find(">missed places ↓ while training</text>"), std::string::npos);
  EXPECT_NE(html.find("font-weight=\"bold\">84.500</text>"), std::string::npos) << "the lowest is best";
  EXPECT_NE(html.find(">86.125 ± 0.177</text>"), std::string::npos);
  EXPECT_NE(html.find("<th>missed places ↓</th><th>features rank</th>"), std::string::npos);
  EXPECT_NE(html.find("<td class=\"best\">84.5</td>"), std::string::npos);
  EXPECT_NE(html.find(" ↓ lower is better. Differences by seed (below 0 is better than the reference)"),
            std::string::npos);
}

TEST(Report, DrawsTheRocCurveOfEveryVariantAndListsWhatWasTakenForWhat) {
  Folder folder;
  foil::Comparison comparison = sample(folder);
  comparison.rows[1].metrics["AUC"] = comparison.rows[2].metrics["AUC"] = {{0, .8}, {1, .9}};
  comparison.rows[1].outcomes.roc["AUC"] = {{{0, 0}, {0, .5}, {.5, .5}, {1, 1}}, {{0, 0}, {.25, 1}, {1, 1}}};
  comparison.rows[2].outcomes.roc["AUC"] = {{{0, 0}, {1, 1}}};
  comparison.rows[1].outcomes.confusion["knn"] = {{{3, 1}, {0, 4}}, {{4, 0}, {2, 2}}};
  comparison.rows[2].outcomes.confusion["knn"] = {{{1, 1, 1}}};  // no square: left out
  foil::write_report(comparison, "t", folder.path());
  const std::string html = folder.read("report.html"), roc = folder.read("figures/roc-AUC.svg");
  EXPECT_EQ(first_unbalanced(html), "");
  EXPECT_EQ(count(roc, "<polyline"), 2u) << roc;
  EXPECT_EQ(count(roc, "<polygon"), 1u) << "two seeds, one band: " << roc;
  const auto at = html.find("infonce: class, found to be");
  ASSERT_NE(at, std::string::npos);
  const std::string table = html.substr(at, html.find("</table>", at) - at);
  for (const std::string share : {">87.5<", ">12.5<", ">25.0<", ">75.0<"})
    EXPECT_EQ(count(table, share), 1u) << share << table;
  EXPECT_EQ(count(html, "class, found to be"), 1u);
}

TEST(Report, ListsOnlyTheConfigKeysThatDiffer) {
  Folder folder;
  const auto html = foil::report_html(sample(folder), "quick");
  EXPECT_NE(html.find("<tr><td>loss.mask</td><td>(not set)</td><td>&lt;exact&gt;</td></tr>"),
            std::string::npos);
  EXPECT_NE(html.find("<tr><td>loss.name</td><td>infonce</td><td>dcl</td></tr>"), std::string::npos);
  EXPECT_NE(html.find("<tr><th>optimizer.name</th><td class=\"value\">adamw</td></tr>"),
            std::string::npos);  // in all of the first, once
}

TEST(Report, ShowsHardwareAndWhereItDiffered) {
  Folder folder;
  auto comparison = sample(folder);
  folder.write("run11/env.json", "{}");  // a run that was stopped before it knew
  const auto html = foil::report_html(comparison, "quick");
  EXPECT_NE(html.find("<tr><th>hardware.cpu</th><td class=\"value\">EPYC</td></tr>"), std::string::npos);
  EXPECT_NE(html.find("<tr><th>hardware.threads</th><td class=\"value\">1 | 2</td></tr>"), std::string::npos);
}

TEST(Report, NamesARecordOfTheEnvironmentThatIsDamaged) {
  Folder folder;
  auto comparison = sample(folder);
  folder.write("run11/env.json", std::string(100000, '[') + std::string(100000, ']'));
  folder.write("run10/env.json", "[1, 2]");
  const auto html = foil::report_html(comparison, "quick");
  EXPECT_NE(html.find("<p class=\"failed\">" + folder.at("run11/env.json") + ": nested deeper than 100</p>"),
            std::string::npos);
  EXPECT_NE(html.find("<p class=\"failed\">" + folder.at("run10/env.json") +
                      ": not a record of an environment</p>"),
            std::string::npos);
  EXPECT_NE(html.find("<tr><th>hardware.threads</th><td class=\"value\">2</td></tr>"), std::string::npos)
      << "the others stay";
  EXPECT_EQ(first_unbalanced(html), "");
}

TEST(Report, HoldsNothingThatAPageOrAPictureCannot) {
  Folder folder;
  auto comparison = sample(folder);
  comparison.rows[1].name = "a\x1b[2J\xff\x7f";
  const auto html = foil::report_html(comparison, "q\xe9");
  EXPECT_NE(html.find("a\\x1b[2J\\xff\\x7f"), std::string::npos);
  for (const char c : {'\x1b', '\xff', '\x7f', '\xe9'}) EXPECT_EQ(html.find(c), std::string::npos);
}

TEST(Report, WritesTheFileAndAPictureAProtocol) {
  Folder folder;
  auto comparison = sample(folder);
  comparison.rows[2].protocol = "knn200";
  EXPECT_EQ(foil::write_report(comparison, "quick", folder.path()), folder.at("report.html"));
  EXPECT_EQ(folder.read("report.html"), foil::report_html(comparison, "quick"));
  EXPECT_NE(folder.read("comparison.svg").find("protocol knn20<"), std::string::npos);
  EXPECT_NE(folder.read("comparison-2.svg").find("protocol knn200<"), std::string::npos);
  EXPECT_EQ(first_unbalanced(folder.read("comparison.svg")), "");
  EXPECT_EQ(first_unbalanced(folder.read("figures/seeds-knn.svg")), "");
  EXPECT_NE(folder.read("figures/seeds-knn-2.svg"), "");
  EXPECT_TRUE(folder.read("table.tex").starts_with("% \\usepackage{booktabs}\n"));
  EXPECT_NE(folder.read("table.md").find("| dcl \\<b>\\&\" | 86.62 ± 0.18 | 2 |"), std::string::npos)
      << folder.read("table.md");
  const std::string error =
      foil_test::error_of<foil::Error>([&] { foil::write_report(comparison, "quick", folder.at("none")); });
  EXPECT_TRUE(error.starts_with("1: " + folder.at("none/comparison.svg") + ": cannot write ")) << error;
}
