# SPDX-License-Identifier: BSD-3-Clause
"""A valid folder for each reader, which foil_readers then damages: folder(name, path, foil) writes it."""
import base64
import gzip
import io
import json
import random
import shutil
import struct
import subprocess
import tarfile
import zlib

HEAD = '[run]\nsteps = 1\nthreads = 1\n'
SMALL = 'name = "small_cnn"\nwidths = [4]'
TAIL = (f'[encoder]\n{SMALL}\n[head]\ndims = [4]\n[[loss]]\nname = "infonce"\n'
        '[evaluate]\nlinear = false\nneighbours = 1\n')

# 8x8, with the tables of quality 40: baseline, and progressive.
JPEG = [
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/2wBDARUX"
    "Fx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wAARCAAIAAgDAREAAhEBAxEB/8QAFAABAAAAAAAAAAAA"
    "AAAAAAAAA//EABgQAAIDAAAAAAAAAAAAAAAAAAAEBSIx/8QAFQEBAQAAAAAAAAAAAAAAAAAAAQT/xAAXEQEBAQEAAAAAAAAAAAAAAAAEADFh/9oADAMBAAIRAxEAPwAF"
    "ozKlKndgScv/2Q==",
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/2wBDARUX"
    "Fx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wgARCAAIAAgDAREAAhEBAxEB/8QAFAABAAAAAAAAAAAA"
    "AAAAAAAAA//EABUBAQEAAAAAAAAAAAAAAAAAAAED/9oADAMBAAIQAxAAAAE6H//EABYQAAMAAAAAAAAAAAAAAAAAAAACA//aAAgBAQABBQJZn//EABURAQEAAAAAAAAA"
    "AAAAAAAAAAMA/9oACAEDAQE/ARS//8QAFREBAQAAAAAAAAAAAAAAAAAAAwD/2gAIAQIBAT8BV7//xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAY/An//xAAVEAEB"
    "AAAAAAAAAAAAAAAAAAAAYf/aAAgBAQABPyGL/9oADAMBAAIAAwAAABD/AP/EABURAQEAAAAAAAAAAAAAAAAAAAAx/9oACAEDAQE/EJv/xAAVEQEBAAAAAAAAAAAAAAAA"
    "AAAAYf/aAAgBAgEBPxCj/8QAFRABAQAAAAAAAAAAAAAAAAAAADH/2gAIAQEAAT8Qmf/Z"]


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def noise(count, low=0, high=255):
    draw = random.Random(count)
    return bytes(draw.randint(low, high) for _ in range(count))


def experiment(path, data, more="", encoder=SMALL):
    write(path / "e.toml", HEAD + f"[data]\n{data}\nbatch_size = 4\n" + more + TAIL.replace(SMALL, encoder))


def idx(sizes, payload, type=8):
    return struct.pack(f">HBB{len(sizes)}I", 0, type, len(sizes), *sizes) + payload


def png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + noise(3 * width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def safetensors(tensors, metadata=None):
    """{name: (dtype, shape, bytes)} as a file."""
    header, data = {"__metadata__": metadata or {"format": "pt"}}, b""
    for name, (dtype, shape, payload) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(payload)]}
        data += payload
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def floats(*shape):
    draw, count = random.Random(len(shape)), 1
    for size in shape:
        count *= size
    return "F32", list(shape), struct.pack(f"<{count}f", *(draw.gauss(0, 1) for _ in range(count)))


def integers(*values):
    return "I64", [len(values)], struct.pack(f"<{len(values)}q", *values)


def make_toml(path):
    experiment(path, 'name = "synthetic"\nsamples = 40\nclasses = 3\nsize = 8\nsubset = 20',
               '[views]\ncount = 3\n[[augment]]\nname = "random_resized_crop"\nsize = [8, 8]\nscale = [0.4, 1.0]\n[[augment]]\n'
               'name = "color_jitter"\nviews = [0, 1]\n')
    write(path / "e.toml", (path / "e.toml").read_text() +
          '[optimizer]\nname = "adamw"\nbetas = [0.9, 0.99]\nlearning_rate = 1e-2\n[schedule]\nname = "cosine"\nwarmup_steps = 20\n'
          '[sweep]\nseeds = 2\ngrid = { "loss.temperature" = [0.1, 0.2], "run.steps" = [1, 2] }\n')


def make_idx(path):
    experiment(path, 'name = "idx"\npath = "data"')
    for part in "train", "t10k":
        write(path / f"data/{part}-images-idx3-ubyte.gz", gzip.compress(idx([8, 6, 5], noise(8 * 30)), mtime=0))
        write(path / f"data/{part}-labels-idx1-ubyte", idx([8], noise(8, 0, 2)))


def make_cifar10(path):
    experiment(path, 'name = "cifar10"\npath = "data"')
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        write(path / f"data/{name}.bin", b"".join(noise(1, 0, 9) + noise(3072) for _ in range(2)))


def make_cifar100(path):
    experiment(path, 'name = "cifar100"\npath = "data"')
    for name in "train", "test":
        write(path / f"data/{name}.bin", b"".join(noise(2, 0, 19) + noise(3072) for _ in range(8)))


def make_stl10(path):
    experiment(path, 'name = "stl10"\npath = "data"')
    for name in "train", "test":
        write(path / f"data/{name}_X.bin", noise(8 * 3 * 96 * 96))
        write(path / f"data/{name}_y.bin", noise(8, 1, 10))


def image_folder(path, name, image):
    crop = '[[augment]]\nname = "random_resized_crop"\nsize = [8, 8]\n'
    experiment(path, 'name = "image_folder"\npath = "data"', crop)
    for part in "train", "test":
        for label in "a", "b":
            for i in range(2):
                write(path / f"data/{part}/{label}/{i}.{name}", image(i))


def make_png(path):
    image_folder(path, "png", lambda i: png(9, 7 + i))


def make_jpeg(path):
    image_folder(path, "jpg", lambda i: base64.b64decode(JPEG[i]))


SPLITS = ["train"] * 8 + ["validation"] * 2 + ["test"] * 6


def make_digits(path):
    experiment(path, 'name = "digits"\npath = "data"', '[views]\nof = ["image", "image"]\n')
    digits = bytes(i % 10 for i in range(16))
    write(path / "data/images-idx3-ubyte.gz", gzip.compress(idx([16, 8, 8], noise(16 * 64)), mtime=0))
    write(path / "data/audio-idx2-short.gz", gzip.compress(idx([16, 20], noise(16 * 40), 0x0B), mtime=0))
    write(path / "data/audio-lengths-idx1-int", idx([16], struct.pack(">16i", *[20] * 16), 0x0C))
    write(path / "data/labels-idx1-ubyte", idx([16], digits))
    write(path / "data/index.tsv", "row\tsplit\tdigit\ttext\n" +
          "".join(f"{i}\t{split}\t{digits[i]}\tthe digit \u00e9 {digits[i]}\n" for i, split in enumerate(SPLITS)))


def make_emoji(path):
    experiment(path, 'name = "emoji"\npath = "data"\nlanguages = ["en", "ja"]\nkeywords = true\ncore = true',
               '[views]\nof = ["image", "image"]\n')
    write(path / "data/images-idx4-ubyte.gz", gzip.compress(idx([16, 3, 8, 8], noise(16 * 192)), mtime=0))
    write(path / "data/index.tsv", "row\tsplit\tcore\tname_en\tkeywords_en\tname_ja\tkeywords_ja\n" +
          "".join(f"{i}\t{split}\t{i % 2}\tthing {i}\ta|b\t\u4e16{i}\t\u754c\n" for i, split in enumerate(SPLITS)))


def make_pairs(path):
    experiment(path, 'name = "pairs"\npath = "data"\ngroup = "id"\nmax_bytes = 20',
               '[views]\nof = ["query", "document"]\n[[augment]]\nname = "hashed_ngrams"\n', 'name = "text_bag"')
    rows = [{"id": i % 3, "query": f"what {i}", "document": f"gr\u00fc\u00df {i}, a \"longer\" text\n", "more": [None, {"x": 1.5}]} for i in range(8)]
    write(path / "data/train.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(path / "data/validation.jsonl.gz", gzip.compress(json.dumps(rows[0]).encode(), mtime=0))
    write(path / "data/test.tsv", "query\tid\tdocument\n" + "".join(f"what {i}\t{i % 3}\t\u4e16\u754c {i}\n" for i in range(6)))


def make_webdataset(path):
    experiment(path, 'name = "webdataset"\npath = "data"\ncolumns = ["image", "text", "title=json.caption"]\nlabel = "cls"\ngroup = "json.url"',
               '[views]\nof = ["image", "image"]\n[[augment]]\nname = "random_resized_crop"\nsize = [8, 8]\n')
    forms = {"train/0": tarfile.USTAR_FORMAT, "train/1": tarfile.PAX_FORMAT, "test/0": tarfile.GNU_FORMAT}
    for shard, form in forms.items():
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for i in range(4):
                picture = (".jpg", base64.b64decode(JPEG[i % 2])) if i < 2 else (".png", png(9, 7))
                for extension, data in (picture, (".txt", f"caption \u00e9 {i}".encode()), (".cls", b"%d" % (i % 3)),
                                        (".json", json.dumps({"caption": f"title {i}", "url": "u", "more": [None]}).encode())):
                    entry = tarfile.TarInfo(("long" * 30 if form != tarfile.USTAR_FORMAT and i == 3 else "key") + f"{i}{extension}")
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
        write(path / f"data/{shard}.tar", out.getvalue())


def npy(shape, data, kind="<f4"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def make_embeddings(path):
    experiment(path, 'name = "embeddings"\npath = "data"', '[views]\nof = ["image", "text"]\n', 'name = "mlp"\nwidths = []')
    write(path / "data/train.safetensors", safetensors({"image": floats(8, 4), "text": floats(8, 4), "label": integers(*[i % 3 for i in range(8)])}))
    write(path / "data/test.image.npy", npy("6, 4", struct.pack("<24f", *range(24))))
    write(path / "data/test.text.npy", npy("6, 4", struct.pack("<24d", *range(24)), "<f8"))
    write(path / "data/test.label.npy", npy("6,", struct.pack("<6q", 0, 1, 2, 0, 1, -1), "<i8"))


ENDS = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 0), (2, 2)]


def graph_experiment(path, data):
    experiment(path, data + "\nundirected = true\nrow_normalise = true", encoder='name = "gcn"\nwidths = [4]')


def make_graph(path):
    graph_experiment(path, 'name = "graph"\npath = "a.safetensors"')
    ends = [node for side in zip(*ENDS) for node in side]
    write(path / "a.safetensors", safetensors({
        "x_indices": ("I64", [2, 8], struct.pack("<16q", *range(8), *[i % 3 for i in range(8)])), "x_values": floats(8), "x_shape": integers(8, 3),
        "edge_index": ("I64", [2, len(ENDS)], struct.pack(f"<{len(ends)}q", *ends)), "edge_weight": floats(len(ENDS)),
        "y": integers(*[i % 3 for i in range(8)]), "train_index": integers(0, 1, 2), "val_index": integers(3), "test_index": integers(4, 5, 6, 7)}))


def make_graph_csv(path):
    graph_experiment(path, 'name = "graph_csv"\npath = "data"')
    write(path / "data/raw/edge.csv.gz", gzip.compress("".join(f"{a},{b}\n" for a, b in ENDS).encode(), mtime=0))
    write(path / "data/raw/node-feat.csv", "".join(f"{i / 4},-{i}e-1,1\n" for i in range(8)))
    write(path / "data/raw/node-label.csv", "".join(f"{i % 3}\n" for i in range(8)))
    for name, nodes in ("train", "0\n1\n2\n"), ("valid", "3\n"), ("test", "4\n5\n6\n7\n"):
        write(path / f"data/split/time/{name}.csv", nodes)


def make_safetensors(path):
    write(path / "a.safetensors", safetensors({"a": floats(3, 4), "b.c": integers(1, 2, 3), "empty": floats(0, 4)}))


def make_score(path):
    label = index = integers(0, 1, 2, 0, 1)
    z = {"z.0": floats(5, 4), "z.1": floats(5, 4)}
    write(path / "infonce.safetensors", safetensors(z))
    write(path / "supcon.safetensors", safetensors({**z, "label": label}))
    write(path / "sogclr.safetensors", safetensors({**z, "index": integers(0, 1, 2, 3, 4)}))
    write(path / "vicreg.safetensors", safetensors({**z, "label": label, "index": index}))
    write(path / "multiview.safetensors", safetensors({**z, "z.2": floats(5, 4)}))


def make_from_a_study(path, foil):
    """study.sqlite, run folders and checkpoints, as the program writes them."""
    study = path / "study.toml"
    write(study, '[run]\nname = "s"\nsteps = 2\nthreads = 1\n[data]\nname = "synthetic"\nsamples = 16\ntest_samples = 8\nsize = 8\n'
                 'batch_size = 4\n' + TAIL + '[sweep]\nseeds = 2\ngrid = { "loss.temperature" = [0.1, 0.2] }\n')
    subprocess.run([foil, "ablate", study.name, "--quiet"], cwd=path, check=True, capture_output=True)
    return next((path / "runs").rglob("study.sqlite")).parent


def make_study(path, source, build):
    path.mkdir(parents=True)
    shutil.copy(source / "study.sqlite", path)


def make_records(path, source, build):
    shutil.copytree(source, path, ignore=shutil.ignore_patterns("*.safetensors", "events*", "*.lock", "report*"))


def make_checkpoint(path, source, build):
    shutil.copytree(next(source.rglob("checkpoints")), path)


def make_plugin(path, source, build):
    path.mkdir(parents=True)
    subprocess.run(["strip", "--strip-debug", "-o", path / "a.so", build / "plugins/infonce.so"], check=True)


PLAIN = {"toml": make_toml, "idx": make_idx, "cifar10": make_cifar10, "cifar100": make_cifar100, "stl10": make_stl10,
         "png": make_png, "jpeg": make_jpeg, "digits": make_digits, "emoji": make_emoji,
         "pairs": make_pairs, "webdataset": make_webdataset, "embeddings": make_embeddings, "graph": make_graph, "graph_csv": make_graph_csv,
         "safetensors": make_safetensors, "score": make_score}
WRITTEN = {"study": make_study, "records": make_records, "checkpoint": make_checkpoint, "plugin": make_plugin}


def folders(path, build):
    """{reader: folder} of all readers."""
    source = make_from_a_study(path / "study_run", build / "foil")
    for name, make in PLAIN.items():
        make(path / name)
    for name, make in WRITTEN.items():
        make(path / name, source, build)
    return {name: path / name for name in [*PLAIN, *WRITTEN]}
