// SPDX-License-Identifier: BSD-3-Clause
// What browser.py asks of a page. Both functions return complaints, a text each.

// Every piece of text that is shown, with its place and the size of its letters in pixels.
function texts() {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, of = node.parentElement;
    if (!node.data.trim() || of.closest("script, style, title, desc") || !of.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const svg = of.closest("svg"), scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const rects = svg ? [of.getBoundingClientRect()] : [...range.getClientRects()];
    for (const rect of rects)
      found.push({text: node.data.trim().slice(0, 40), rect, size: scale * parseFloat(getComputedStyle(of).fontSize), box: of.closest(".box"), svg});
  }
  return found;
}

function overlap(a, b) {  // by more than what rounding and the space around letters make
  return Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
}

function luminance(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b;
}

function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + .05) / (low + .05);
}

function complaints(scheme) {
  for (const details of document.querySelectorAll("details")) details.open = scheme !== "print";
  const wrong = [], all = texts(), width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) wrong.push(`runs off the page: ${document.documentElement.scrollWidth} of ${width} pixels`);
  for (const one of all) {
    if (!one.box && (one.rect.right > width + 1 || one.rect.left < -1)) wrong.push(`"${one.text}" runs off the page`);
    if (scheme !== "print" && one.size < 12 - .01) wrong.push(`"${one.text}" has ${one.size} pixels`);
    if (!one.svg) continue;
    const frame = one.svg.getBoundingClientRect();
    if (one.rect.left < frame.left - 1 || one.rect.right > frame.right + 1 || one.rect.top < frame.top - 1 || one.rect.bottom > frame.bottom + 1)
      wrong.push(`"${one.text}" leaves its picture "${one.svg.querySelector("title").textContent}"`);
  }
  const groups = Map.groupBy(all, one => one.svg || one.box);  // what scrolls may lie under its neighbour
  for (const group of groups.values()) {
    group.sort((a, b) => a.rect.top - b.rect.top);
    for (let i = 0; i < group.length; ++i)
      for (let k = i + 1; k < group.length && group[k].rect.top < group[i].rect.bottom; ++k)
        if (overlap(group[i].rect, group[k].rect)) wrong.push(`"${group[i].text}" overlaps "${group[k].text}"`);
  }
  const boxes = [...document.querySelectorAll(".box")].filter(box => box.checkVisibility()).map(box => box.getBoundingClientRect());
  for (let i = 0; i < boxes.length; ++i) {
    for (let k = i + 1; k < boxes.length; ++k) if (overlap(boxes[i], boxes[k])) wrong.push(`box ${i} overlaps box ${k}`);
    if (boxes[i].right > width + 1) wrong.push(`box ${i} runs off the page`);
  }
  const page = getComputedStyle(document.body), dark = luminance(page.backgroundColor) < .2;
  if (dark !== (scheme === "dark")) wrong.push(`the page is ${dark ? "dark" : "light"}`);
  if (contrast(page.color, page.backgroundColor) < 7) wrong.push("its letters are hard to tell from the paper");
  for (const svg of document.querySelectorAll("svg"))
    if (!svg.querySelector("title").textContent.trim()) wrong.push("a picture does not say what it is");
  for (const image of document.querySelectorAll("img")) if (!image.alt) wrong.push("an image does not say what it is");
  return [...new Set(wrong)].slice(0, 20);
}

// Each column of the first table that sorts, up and down.
function sorting() {
  const table = document.querySelector("table.sortable"), wrong = [];
  const column = i => [...table.tBodies[0].rows].map(row => row.cells[i].textContent.trim()).filter(text => text);
  const ordered = values => values.every((value, i) => i === 0 || values[i - 1] <= value);
  const heads = [...table.querySelectorAll("th")];
  const rows = column(0).length;
  heads.forEach((head, i) => {
    const numbers = i > 0 && !column(i).some(text => Number.isNaN(parseFloat(text)));
    for (const direction of ["ascending", "descending"]) {
      head.click();
      if (head.ariaSort !== direction) wrong.push(`"${head.textContent}" does not say that it is ${direction}`);
      const values = direction === "ascending" ? column(i) : column(i).reverse();
      if (numbers && !ordered(values.map(parseFloat))) wrong.push(`"${head.textContent}" is not ${direction}`);
    }
  });
  if (column(0).length !== rows) wrong.push("a row is lost by sorting");
  return wrong;
}
