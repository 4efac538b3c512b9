#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""browser.py FOIL [--keep DIR]: the report in a real browser. Makes studies, has FOIL write their reports, and looks at each in headless Chromium, 1200
and 390 pixels wide, light, dark and as it is printed: nothing runs off the page, no two texts overlap, no text leaves its picture or is smaller than
12 pixels, every picture says what it is, a click on a header sorts. --keep leaves reports and screenshots in DIR."""
import argparse
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from chromium import Chromium

HERE = pathlib.Path(__file__).resolve().parent
VIEWS = [(1200, "light"), (1200, "dark"), (390, "light"), (390, "dark"), (720, "print")]  # pixels; 720: a sheet of A4


def trial(folder, name, seed, config, value, slope, parts):
    """A finished run as foil leaves it, its numbers drawn."""
    draw = random.Random(f"{name} {seed}")
    folder.mkdir(parents=True)
    (folder / "config.resolved.toml").write_text(f'[run]\nname = {json.dumps(name)}\nseed = {seed}\nepochs = 4\n{config}')
    measured = {}
    for column, (metric, title, at) in enumerate([("knn", "kNN", value), ("linear", "linear", value + 3)], start=1):
        measured[metric] = dict(value=at + draw.gauss(0, .5), protocol="p", title=title, unit="%", digits=1, better="higher", headline=True, column=column)
    results = dict(protocol="made-up knn-cosine-k20-T0.07-weighted/features/train1500/test10000/centre28x28/v1", data="crc32:01706997",
                   metrics={k: v["value"] for k, v in measured.items()}, measured=measured, step=200, loss=1)
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "cost.json").write_text(json.dumps(dict(peak_memory_bytes=668401664, samples=51200, seconds=10 + draw.random() + slope)))
    (folder / "env.json").write_text(json.dumps(dict(commit="0000000", processor="a processor", cores=2, threads=1, gpus=[],
                                                     plugins={"infonce.so": "crc32:00000000"})))
    lines = []
    for step in range(1, 201):
        row = dict(step=step, epoch=step // 50, loss=slope * (4 + 3 * math.exp(-step / 40) + draw.gauss(0, .1)), learning_rate=.01, gradient_norm=1.5)
        row.update({part: row["loss"] / 2 for part in parts})
        if step % 50 == 0:
            row.update(knn=value - 5 + step / 50, **{"batch.effective_rank": 20 + slope, "batch.std": .9})
        lines.append(json.dumps(row))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def grid(folder):
    """Two keys; a label that is long, and one that is a single unbroken word."""
    for loss, better in [("infonce", 0), ("dcl", 1.5)]:
        for temperature in [0.1, 0.2, 0.5]:
            for seed in range(3):
                name = f"{loss} temperature={temperature}"
                trial(folder / f"{name}-{seed}", name, seed, f'[[loss]]\nname = "{loss}"\ntemperature = {temperature}\n',
                      80 + better - 4 * temperature, 1, [f"{loss}.loss_1_2"])
    labels = dict(command="foil ablate " + "a-path-without-a-blank-in-it/" * 6 + "e.toml",
                  variants={"infonce": "InfoNCE as it stands in the paper with a long name", "temperature=0.5": "Temperature_half" * 3}, metrics={"knn": "k-NN"})
    (folder / "report.json").write_text(json.dumps(labels))


def many(folder):
    """Losses of every scale, one failed."""
    for i in range(24):
        name = f"loss_{i}" + "_of_a_long_family" * (i % 3)
        for seed in range(2):
            trial(folder / f"{name}-{seed}", name, seed, f'[[loss]]\nname = "{name}"\n', 70 + i / 2, 1.7 ** i, [f"{name}.part"])
    failed = folder / "stopped-0"
    failed.mkdir()
    (failed / "config.resolved.toml").write_text('[run]\nname = "stopped"\nseed = 0\n')
    (failed / "status").write_text(json.dumps(dict(state="failed", step=12, reason="loss is nan at step 12 " + "and-no-blank" * 20)))


def look(page, path, keep):
    """What is wrong with a report, a line each."""
    wrong = []
    page.open(path)
    for width, scheme in VIEWS:
        page.show(width, scheme)
        where = f"{path.parent.name}, {width} pixels, {scheme}: "
        wrong += [where + text for text in page.run(f"complaints({json.dumps(scheme)})")]
        if keep:
            page.screenshot(path.parent / f"{scheme}-{width}.png")
    page.show(*VIEWS[0])
    return wrong + [f"{path.parent.name}: " + text for text in page.run("sorting()")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("foil")
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        for make in [grid, many]:
            make(work / "runs" / make.__name__)
        studies = [work / "runs/grid", work / "runs/many"] + sorted(p.parent for p in HERE.glob("../../experiments/results/*/study.sqlite"))
        reports = arguments.keep or work
        wrong = []
        with Chromium(work / "profile", HERE / "checks.js") as page:
            for study in studies:
                out = reports / study.name
                subprocess.run([arguments.foil, "compare", study, "--report", out], check=True, capture_output=True)
                wrong += look(page, out / "report.html", arguments.keep)
            # The checks see what they are for: the same page with its boxes open, and with its lines too close.
            for style, seen in [(".box { overflow: visible !important }", "runs off the page"), ("td { line-height: .2; padding: 0 }", "overlaps")]:
                page.show(390, "light")
                page.run(f"document.head.insertAdjacentHTML('beforeend', '<style>{style}</style>')")
                if not any(seen in text for text in page.run('complaints("light")')):
                    wrong.append(f"the checks do not see that a page {seen}")
    print("\n".join(wrong) if wrong else f"{len(studies)} reports: nothing runs off, overlaps or is too small")
    return 1 if wrong else 0


sys.exit(main())
