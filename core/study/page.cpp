// SPDX-License-Identifier: BSD-3-Clause
// Style, script and the few elements of the page.
#include "study/page.h"

#include "study/svg.h"

#include <fmt/format.h>

namespace foil {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --line: #d1d9e0; --alarm: #b3261e }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #3d444d; --alarm: #ff8a80 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; color: var(--ink); background: var(--paper); overflow-wrap: anywhere }
h1 { font-size: 1.7rem; margin: .5rem 0 }
h2 { font-size: 1.25rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
.box { overflow-x: auto; max-width: 100%; margin: .7rem 0 }
.figures { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: flex-start }
.figures .box { margin: 0 }
svg, img { display: block }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; white-space: nowrap; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th.sorts { cursor: pointer; text-decoration: underline dotted; text-underline-offset: .25em }
th[aria-sort=ascending]::after { content: " \2191" }
th[aria-sort=descending]::after { content: " \2193" }
td.best { font-weight: bold }
td.heat { padding-left: .7rem; print-color-adjust: exact; -webkit-print-color-adjust: exact }
td.value { font-family: ui-monospace, monospace; font-size: .875rem; white-space: pre-wrap; min-width: 12rem }
.swatch { display: inline-block; width: .75em; height: .75em; margin-right: .5em; border-radius: 50%; print-color-adjust: exact; -webkit-print-color-adjust: exact }
figure { margin: 0 }
summary { cursor: pointer; margin: .5rem 0 }
.failed { color: var(--alarm) }
.note { font-size: .875rem; margin: .5rem 0 }
@media print {
  body { max-width: none; padding: 0; font-size: 12px }
  .box { overflow: visible }
  svg, img { max-width: 100%; height: auto }
  th, td { white-space: normal; overflow-wrap: break-word }
  td:first-child, table:not(.sortable) td, thead th { overflow-wrap: anywhere }
  tbody th { white-space: nowrap }
  table.wide th, table.wide td { font-size: 9px; padding-right: .3rem; overflow-wrap: anywhere }
  h2, h3 { break-after: avoid }
  tr, figure, svg { break-inside: avoid }
}
)";

// Sorts the rows of a table by a column when its header is clicked or chosen by a key, again the other way
// round.
constexpr const char* kScript = R"(
for (const head of document.querySelectorAll("table.sortable th")) {
  const sort = () => {
    const table = head.closest("table"), down = head.ariaSort === "ascending" ? -1 : 1;
    const text = row => row.cells[head.cellIndex].textContent.trim(), value = row => parseFloat(text(row).replaceAll(",", ""));
    const rows = [...table.tBodies[0].rows].sort((a, b) => text(a) === "" || text(b) === ""
      ? (text(a) === "") - (text(b) === "") : down * (value(a) - value(b) || text(a).localeCompare(text(b))));
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.ariaSort = down > 0 ? "ascending" : "descending";
    table.tBodies[0].append(...rows);
  };
  head.classList.add("sorts");
  head.tabIndex = 0;
  head.onclick = sort;
  head.onkeydown = event => { if (event.key === "Enter") sort(); };
}
)";

std::string boxed(const std::string& content, const std::string& label) {
  return "<div class=\"box\" role=\"region\" tabindex=\"0\" aria-label=\"" + escape_markup(label) + "\">" +
         content + "</div>\n";
}

std::string cell(const HtmlCell& given, const std::string& tag) {
  std::string out = "<" + tag;
  if (!given.css_class.empty()) out += " class=\"" + given.css_class + "\"";
  if (!given.style.empty()) out += " style=\"" + given.style + "\"";
  out += ">";
  if (!given.mark.empty()) out += "<span class=\"swatch\" style=\"background:" + given.mark + "\"></span>";
  return out + escape_markup(given.text) + "</" + tag + ">";
}

}  // namespace

std::string element(const std::string& tag, const std::string& text, const std::string& css_class) {
  return cell({text, css_class}, tag);
}

std::string html_table(const HtmlLines& lines, const std::string& label, bool sortable) {
  constexpr size_t most_on_paper = 10;
  const std::string classes =
      std::string(sortable ? "sortable" : "") + (lines[0].size() > most_on_paper ? " wide" : "");
  std::string out = "<table class=\"" + classes + "\">\n<thead><tr>";
  for (const auto& one : lines[0]) out += cell(one, "th");
  out += "</tr></thead>\n<tbody>\n";
  for (size_t i = 1; i < lines.size(); ++i) {
    out += "<tr>";
    for (const auto& one : lines[i]) out += cell(one, "td");
    out += "</tr>\n";
  }
  return boxed(out + "</tbody>\n</table>", label);
}

std::string html_facts(const std::vector<std::pair<std::string, std::string>>& facts,
                       const std::string& label) {
  std::string out = "<table>\n";
  for (const auto& [name, value] : facts)
    out += "<tr>" + element("th", name) + element("td", value, "value") + "</tr>\n";
  return boxed(out + "</table>", label);
}

std::string html_figure(const std::string& svg) {
  return "<figure class=\"box\" tabindex=\"0\">\n" + svg + "</figure>\n";
}

std::string html_details(const std::string& summary, const std::string& body) {
  return "<details>" + element("summary", summary) + "\n" + body + "</details>\n";
}

std::string html_page(const std::string& title, const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n" +
         element("title", title) + "\n<style>" + kStyle + "</style>\n</head>\n<body>\n" +
         element("h1", title) + "\n" + body + "<script>" + kScript + "</script>\n</body>\n</html>\n";
}

}  // namespace foil
