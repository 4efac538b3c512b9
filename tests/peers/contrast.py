# SPDX-License-Identifier: BSD-3-Clause
"""Losses over all pairs: foil (build/bench/contrast) beside plain torch, torch.compile and the losses of other libraries, on the same shapes,
in alternation; forward and backward on unit embeddings in fp32. N counts the rows that are compared: two views of N/2 samples for ntxent,
supcon and dcl. Prints a table: milliseconds, how many times the three bare matrix products of the similarities (as build/bench/contrast takes
them), how many times foil, and the peak memory above inputs and outputs. With one thread times are the processor's. What cannot be imported
or run is said below the table.
usage: contrast.py BUILD [--loss infonce,clip,...] [--n 4096] [--d 128,512] [--threads 1] [--pairs 5] [--no-memory]"""
import argparse, gc, json, statistics, subprocess, sys, time
from pathlib import Path

import torch
import torch.nn.functional as F

LOSSES = ("infonce", "clip", "ntxent", "supcon", "siglip", "dcl", "mw")
STACKED = ("ntxent", "supcon", "dcl")
TEMPERATURE, BIAS = 0.07, -10.0


def infonce(x, y):
    return F.cross_entropy(x @ y.T / TEMPERATURE, torch.arange(len(x)))


def clip(x, y, scale):
    s, own = scale * x @ y.T, torch.arange(len(x))
    return (F.cross_entropy(s, own) + F.cross_entropy(s.T, own)) / 2


def similarities(x, y):
    z = torch.cat([x, y])
    return z @ z.T / TEMPERATURE


def ntxent(x, y):
    s = similarities(x, y)
    return F.cross_entropy(s.fill_diagonal_(float("-inf")), torch.arange(len(s)).roll(len(x)))


def supcon(x, y):
    label = labels(len(x)).repeat(2)
    itself = torch.eye(len(label), dtype=torch.bool)
    positive = (label[:, None] == label[None, :]) & ~itself
    share = similarities(x, y).masked_fill(itself, float("-inf")).log_softmax(1)
    return (-share.masked_fill(~positive, 0).sum(1) / positive.sum(1)).mean()


def siglip(x, y, scale, bias):
    s = scale * x @ y.T + bias
    return -F.logsigmoid((2 * torch.eye(len(x)) - 1) * s).sum() / len(x)


def dcl(x, y):
    same = torch.eye(len(x), dtype=torch.bool).repeat(2, 2)
    return (similarities(x, y).masked_fill(same, float("-inf")).logsumexp(1) - (x * y).sum(1).repeat(2) / TEMPERATURE).mean()


def mw(x, y):
    s = x @ y.T
    cost = F.softplus((s - s.diagonal()[:, None]) / TEMPERATURE).masked_fill(torch.eye(len(x), dtype=torch.bool), 0)
    return cost.sum() / (len(x) * (len(x) - 1))


def labels(samples):
    return torch.arange(samples) % 100


PLAIN = dict(infonce=infonce, clip=clip, ntxent=ntxent, supcon=supcon, siglip=siglip, dcl=dcl, mw=mw)


def peers(loss):
    """NAME: how to make what takes two views and gives the value; making it may fail."""

    def plain():
        scale, bias = torch.tensor(1 / TEMPERATURE, requires_grad=True), torch.tensor(BIAS, requires_grad=True)
        more = {"clip": (scale,), "siglip": (scale, bias)}.get(loss, ())
        return PLAIN[loss], more

    def with_more(function, more):
        return lambda x, y: function(x, y, *more)

    def compiled():
        function, more = plain()
        return with_more(torch.compile(function), more)

    def open_clip():
        import open_clip.loss

        _, more = plain()
        made = open_clip.loss.ClipLoss() if loss == "clip" else open_clip.loss.SigLipLoss()
        return with_more(made, more)

    def lightly():
        import lightly.loss

        return lightly.loss.NTXentLoss(TEMPERATURE) if loss == "ntxent" else lightly.loss.DCLLoss(TEMPERATURE)

    def metric_learning():
        from pytorch_metric_learning import losses

        made = losses.SupConLoss(TEMPERATURE) if loss == "supcon" else losses.NTXentLoss(TEMPERATURE)
        of = (lambda n: labels(n)) if loss == "supcon" else torch.arange
        return lambda x, y: made(torch.cat([x, y]), of(len(x)).repeat(2))

    found = {"torch": lambda: with_more(*plain()), "torch.compile": compiled}
    if loss in ("clip", "siglip"):
        found["open_clip"] = open_clip
    if loss in ("ntxent", "dcl"):
        found["lightly"] = lightly
    if loss in ("ntxent", "supcon"):
        found["pytorch-metric-learning"] = metric_learning
    return found


def embeddings(loss, n, d):
    torch.manual_seed(0)
    samples = n // 2 if loss in STACKED else n
    return [F.normalize(torch.randn(samples, d)).requires_grad_() for _ in range(2)]


def step(function, z):
    for view in z:
        view.grad = None
    function(*z).backward()


def status(line):  # bytes of a line of /proc/self/status
    return 1024 * int(next(text for text in open("/proc/self/status") if text.startswith(line + ":")).split()[1])


def peak_of(loss, name, n, d):
    """For a process of its own: growth of its memory in one step above inputs and outputs."""
    function = peers(loss)[name]()
    if name == "torch.compile":
        step(function, embeddings(loss, n, d))  # compilation alone takes more
    else:
        step(function, embeddings(loss, 64, d))
    gc.collect()
    z = embeddings(loss, n, d)
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS") + sum(view.nbytes for view in z)
    step(function, z)
    return status("VmHWM") - before


def seconds_of(work, threads, at_least=0.2):
    clock = time.process_time if threads == 1 else time.perf_counter
    times, begin = 0, clock()
    while times == 0 or clock() - begin < at_least:
        work()
        times += 1
    return (clock() - begin) / times


def foil(build, loss, n, d, threads, *more):
    command = [f"{build}/bench/contrast", "--loss", loss, "--json"]
    command += ["--n", n, "--d", d, "--threads", threads, "--temperature", TEMPERATURE, *more]
    result = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(result.stdout.splitlines()[-1])


def reason(error):
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:200]


def measure(a, loss, n, d, left_out):
    z, steps = embeddings(loss, n, d), {}
    for name, make in peers(loss).items():
        try:
            function = make()
            step(function, z)  # warms; torch.compile compiles here
            steps[name] = function
        except Exception as error:
            left_out[f"{name} ({loss})"] = reason(error)
    seconds, gemm, ratio = {name: [] for name in ("foil", *steps)}, [], []
    for _ in range(a.pairs):
        ours = foil(a.build, loss, n, d, a.threads, "--pairs", 1, "--time-only")
        seconds["foil"].append(ours["seconds"])
        gemm.append(ours["gemm_seconds"])
        ratio.append(ours["ratio"])
        for name, function in steps.items():
            seconds[name].append(seconds_of(lambda: step(function, z), a.threads))
    for name, times in seconds.items():
        peak = ""
        if not a.no_memory and name == "foil":
            peak = f"{foil(a.build, loss, n, d, a.threads, '--pairs', 1)['peak_bytes'] / 2**20:.0f}"
        elif not a.no_memory:
            child = [sys.executable, __file__, str(a.build), "--peak", name, "--loss", loss, "--n", str(n), "--d", str(d)]
            out = subprocess.run(child + ["--threads", str(a.threads)], capture_output=True, text=True)
            peak = f"{int(out.stdout.split()[-1]) / 2**20:.0f}" if out.returncode == 0 else "?"
        bare = statistics.median(t / g for t, g in zip(times, gemm))
        slower = statistics.median(t / ours for t, ours in zip(times, seconds["foil"]))
        print(f"| {loss} | {n} | {d} | {name} | {1e3 * statistics.median(times):.1f} | {bare:.2f} | {slower:.2f} | {peak} |", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    numbers = lambda text: [int(part) for part in text.split(",")]
    parser.add_argument("build", type=Path)
    parser.add_argument("--loss", default=",".join(LOSSES))
    parser.add_argument("--n", type=numbers, default=[4096])
    parser.add_argument("--d", type=numbers, default=[128, 512])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--peak")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    if a.peak:
        print(peak_of(a.loss, a.peak, a.n[0], a.d[0]))
        return
    left_out = {}
    print("| loss | N | D | of | ms | x three products | x foil | peak, MiB |\n|---|---:|---:|---|---:|---:|---:|---:|", flush=True)
    for loss in a.loss.split(","):
        for n in a.n:
            for d in a.d:
                measure(a, loss, n, d, left_out)
    print(f"\nMedians of {a.pairs} alternations, {a.threads} threads, torch {torch.__version__}.")
    for name, why in left_out.items():
        print(f"Not measured: {name}: {why}")


if __name__ == "__main__":
    main()
