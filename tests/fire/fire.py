#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""fire.py BUILD [--seed N] [--inputs N] [--rounds N] [--only PART,...]: foil under fire, for some minutes. Damaged inputs for every reader
(readers.cpp), kills at random moments, a full disk, closed descriptors; after each the run must come to the same end by the same
command. Prints a table; exits 1 when a signal ended a reader, something hung, an answer was in raw words, or a run was lost. What was
found is kept in BUILD/fire. The inputs follow from the seed alone; at which moment a kill hits, no seed can say. Not part of ctest."""
import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # nothing is left in the source tree
import valid

PATIENCE = 1800  # seconds after which a program hangs
HERE = pathlib.Path(__file__).resolve()
COLUMNS = ["inputs", "refused", "accepted", "signals", "hangs", "raw", "lost"]
STEPS = 48


class Row(dict):
    def __init__(self, name, *counts):
        super().__init__({column: 0 for column in COLUMNS})
        self.name = name
        self.update(zip(COLUMNS, counts))


class Run:
    """One experiment in a folder of its own, started as often as it takes."""

    def __init__(self, build, place, verb="train", ranks=1):
        self.place, self.ranks = place, ranks
        self.command = [build / "foil", verb, "e.toml", "--quiet"] + (["--nproc", str(ranks)] if ranks > 1 else [])
        sweep = '[sweep]\nseeds = 2\ngrid = { "loss.temperature" = [0.1, 0.2] }\n' if verb == "ablate" else ""
        valid.write(place / "e.toml",
                    f'[run]\nname = "r"\nsteps = {STEPS if verb == "train" else 12}\nthreads = 1\ndeterministic = true\n[checkpoint]\nevery = 3\n'
                    '[data]\nname = "synthetic"\nsamples = 120\ntest_samples = 60\nclasses = 3\nsize = 12\nbatch_size = 24\n'
                    '[[augment]]\nname = "random_resized_crop"\nsize = [12, 12]\n[[augment]]\nname = "color_jitter"\n'
                    '[encoder]\nname = "small_cnn"\nwidths = [8, 16]\n[head]\ndims = [256, 8]\n[[loss]]\nname = "infonce"\n'
                    '[optimizer]\nname = "adamw"\nlearning_rate = 0.001\n'
                    '[evaluate]\nlinear = false\nneighbours = 5\nevery_epochs = 2\n' + sweep)

    def start(self, **how):
        log = open(self.place / "log.txt", "ab")
        return subprocess.Popen(self.command, cwd=self.place, stdout=log, stderr=log, start_new_session=True, **how)

    def finish(self, **how):
        return wait(self.start(**how))

    def end(self):
        """What a run comes to: its rows, its last checkpoint and its results; the times and paths beside them are left out."""
        found = {}
        for pattern in "metrics.jsonl", "results.json", f"step-*{STEPS}.safetensors", "step-*12.safetensors":
            for file in sorted((self.place / "runs").rglob(pattern)):
                found[str(file.relative_to(self.place))] = file.read_bytes()
        return found

    def log(self):
        return (self.place / "log.txt").read_text(errors="replace")


def end_of(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def wait(process):
    """The exit code; None when it hung."""
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        end_of(process)
        return None


def check_end(row, run, whole, code, what):
    """Counts a run whose last start ended with `code`."""
    if code is None:
        row["hangs"] += 1
    elif code < 0:
        row["signals"] += 1
    if code != 0 or run.end() != whole:
        row["lost"] += 1
        keep(run, what)


def keep(run, what):
    to = KEEP / f"{what}-{time.time_ns()}"
    shutil.copytree(run.place, to, symlinks=True)
    print(f"{to}: the run did not come to the same end", file=sys.stderr)


def whole_run(build, place, **how):
    begin = time.monotonic()
    run = Run(build, place, **how)
    code = run.finish()
    if code != 0:
        sys.exit(f"an undisturbed run ended with code {code}:\n{run.log()}")
    return run.end(), time.monotonic() - begin


def kills(build, work, draw, rounds):
    """SIGKILL to the program and its ranks at random moments; SIGTERM and SIGINT to the program alone."""
    for name, how in [("kills, one rank", {}), ("kills, two ranks", {"ranks": 2}), ("kills, a study", {"verb": "ablate"})]:
        row = Row(name)
        whole, seconds = whole_run(build, work / f"{name}-whole", **how)
        for i in range(rounds):
            run, code = Run(build, work / f"{name}-{i}", **how), None
            for _ in range(40):  # a start that gets through ends it
                process = run.start()
                time.sleep(draw.uniform(0, 1.2 * seconds))
                sent = draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                code = process.poll()
                if code is not None:  # it was through before
                    row["signals"] += code < 0
                    break
                row["inputs"] += 1
                if sent == signal.SIGKILL:
                    end_of(process)
                    continue
                process.send_signal(sent)
                code = wait(process)
                if code not in (0, 75, 130, -sent):  # -sent: before it could ask for its signals
                    print(f"{name}: {sent.name} ended it with {code}", file=sys.stderr)
                    row["lost" if code is not None else "hangs"] += 1
                if code == 0:
                    break
            check_end(row, run, whole, run.finish() if code != 0 else code, name.replace(" ", "-"))
        yield row


def full_disk(build, work, draw, rounds):
    """Inside a mount namespace: a small file system that fills up at a random moment, and is emptied."""
    row = Row("full disk")
    whole, _ = whole_run(build, work / "disk-whole")
    for i in range(rounds):
        run = Run(build, work / f"disk-{i}")
        disk = run.place / "runs"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={draw.randint(60, 1200)}k", "fire", disk], check=True)
        row["inputs"] += 1
        code = run.finish()
        words = run.log()
        if code == 0:
            row["accepted"] += 1
        elif code == 1 and ("No space left" in words or "too little" in words):
            row["refused"] += 1
        else:
            row["hangs" if code is None else "signals" if code < 0 else "raw"] += 1
            keep(run, "full-disk")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        check_end(row, run, whole, run.finish(), "full-disk")
        subprocess.run(["umount", "-l", disk], check=True)
    yield row


def full_disk_apart(build, seed, rounds):
    inside = ["unshare", "--mount"] + (["--map-root-user"] if os.getuid() != 0 else [])
    if not shutil.which("unshare") or subprocess.run([*inside, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode != 0:
        print("full disk: left out, as no file system can be mounted here", file=sys.stderr)
        return
    out = subprocess.run([*inside, sys.executable, HERE, build, "--seed", str(seed), "--rounds", str(rounds), "--inside-disk"],
                         stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    yield Row("full disk", *map(int, out))


def descriptors(build, work):
    """Each set of stdin, stdout and stderr closed."""
    row = Row("closed descriptors")
    whole, _ = whole_run(build, work / "descriptors-whole")
    for closed in range(1, 8):
        run = Run(build, work / f"descriptors-{closed}")
        shell = " ".join(f"{i}{'<' if i == 0 else '>'}&-" for i in range(3) if closed >> i & 1)
        run.command = ["sh", "-c", f'exec "$@" {shell}', "sh", *run.command]
        row["inputs"] += 1
        check_end(row, run, whole, run.finish(), "closed-descriptors")
    yield row


def readers(build, work, seed, count, wanted):
    for name, folder in valid.folders(work / "valid", build).items():
        if wanted and name not in wanted:
            continue
        inputs = max(count // 8, 1) if name in ("records", "checkpoint", "stl10") else count
        out = subprocess.run([build / "tests/foil_readers", name, folder, str(seed), str(inputs), KEEP], stdout=subprocess.PIPE, text=True)
        if out.returncode != 0:
            sys.exit(f"foil_readers {name}: exit code {out.returncode}")
        yield Row(name, *map(int, out.stdout.split()[1:]))


def table(rows):
    print(f"{'':20}" + "".join(f"{column:>10}" for column in COLUMNS))
    for row in rows:
        print(f"{row.name:20}" + "".join(f"{row[column]:>10}" for column in COLUMNS), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=4000, help="damaged inputs of a reader; an eighth for those that read many files")
    parser.add_argument("--rounds", type=int, default=3, help="runs that are killed until they get through; ten times as many full disks")
    parser.add_argument("--only", default="", help="readers, kills, disk, descriptors, or names of readers")
    parser.add_argument("--inside-disk", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    build, only = a.build.resolve(), set(filter(None, a.only.split(",")))
    global KEEP
    KEEP = build / "fire"
    KEEP.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="foil_fire_") as folder:
        work, draw = pathlib.Path(folder), random.Random(a.seed)
        if a.inside_disk:
            (row,) = full_disk(build, work, draw, a.rounds)
            print(*(row[column] for column in COLUMNS))
            return 0
        rows, begin = [], time.monotonic()
        if not only or only - {"kills", "disk", "descriptors"}:
            rows += readers(build, work, a.seed, a.inputs, only - {"kills", "disk", "descriptors", "readers"})
        if not only or "kills" in only:
            rows += kills(build, work, draw, a.rounds)
        if not only or "disk" in only:
            rows += full_disk_apart(build, a.seed, 10 * a.rounds)
        if not only or "descriptors" in only:
            rows += descriptors(build, work)
    table(rows)
    bad = sum(row[column] for row in rows for column in ("signals", "hangs", "raw", "lost"))
    print(f"{sum(row['inputs'] for row in rows)} inputs in {time.monotonic() - begin:.0f} s, seed {a.seed}: "
          + ("nothing was found" if bad == 0 else f"{bad} faults, kept in {KEEP}"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
