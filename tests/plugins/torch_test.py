# SPDX-License-Identifier: BSD-3-Clause
"""torch_test.py LIBRARY [cuda]: foil's losses as seen from Python, against the same formulas in plain torch."""
import os
import subprocess
import sys
import tempfile
import unittest

import torch

LIBRARY = sys.argv[1]
DEVICE = "cuda" if "cuda" in sys.argv[2:] else "cpu"
torch.ops.load_library(LIBRARY)


def embeddings(views, n, d, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, dtype=torch.float64, generator=generator).to(DEVICE).requires_grad_() for _ in range(views)]


def infonce(z, temperature):
    """NT-Xent: cross entropy of each of the 2N anchors over all others."""
    both = torch.nn.functional.normalize(torch.cat(z), dim=1)
    n = z[0].shape[0]
    logits = both @ both.T / temperature
    logits = logits.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=DEVICE), float("-inf"))
    return torch.nn.functional.cross_entropy(logits, torch.arange(2 * n, device=DEVICE).roll(n))


def unit(x):
    return torch.nn.functional.normalize(x, dim=1)


def byol(p, target):
    """Each view predicts the other one's target."""
    return sum((2 - 2 * (unit(p[1 - v]) * unit(target[v]).detach()).sum(1)).mean() for v in range(2)) / 2


def moco(q, k, queue, temperature):
    """Cross entropy of each query's key, the first column, over the queue."""
    q, k = unit(q), unit(k).detach()
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ unit(queue).T], 1) / temperature
    return torch.nn.functional.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long, device=DEVICE))


def nnclr(z, p, queue, temperature):
    """The nearest row of the queue to one view is the positive of the other view's prediction."""
    z, p, queue = [unit(x).detach() for x in z], [unit(x) for x in p], unit(queue)
    own = torch.arange(len(p[0]), device=DEVICE)
    near = [queue[(x @ queue.T).argmax(1)] for x in z]
    return sum(torch.nn.functional.cross_entropy(near[v] @ p[1 - v].T / temperature, own) for v in range(2)) / 2


class Operator(unittest.TestCase):
    def assert_equal(self, value, expected, inputs):
        """Value and gradients of the inputs; one that has none has gradient zero."""
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
        both = [torch.autograd.grad(x, inputs, allow_unused=True) for x in (value, expected)]
        for x, got, want in zip(inputs, *both):
            zero = torch.zeros_like(x)
            torch.testing.assert_close(zero if got is None else got, zero if want is None else want, rtol=0, atol=1e-12)

    def test_predictions_and_targets_reach_byol(self):
        z, p, target = embeddings(2, 7, 5), embeddings(2, 7, 5, seed=4), embeddings(2, 7, 5, seed=5)
        self.assert_equal(torch.ops.foil.loss("byol", "", z, p=p, target=target), byol(p, target), p + target)

    def test_targets_and_queue_reach_moco(self):
        z, target, (queue,) = embeddings(2, 7, 5), embeddings(2, 7, 5, seed=4), embeddings(1, 9, 5, seed=5)
        value = torch.ops.foil.loss("moco", "temperature = 0.2\nqueue_length = 9", z, target=target, queue=[queue])
        self.assert_equal(value, moco(z[0], target[1], queue, 0.2), z + target)

    def test_predictions_and_queue_reach_nnclr(self):
        z, p, (queue,) = embeddings(2, 7, 5), embeddings(2, 7, 5, seed=4), embeddings(1, 9, 5, seed=5)
        value = torch.ops.foil.loss("nnclr", "temperature = 0.2\nqueue_length = 9", z, p=p, queue=[queue])
        self.assert_equal(value, nnclr(z, p, queue, 0.2), p)

    def test_a_graph_what_a_decoder_makes_and_a_weight_reach_a_loss_by_name(self):
        z, (decoded, x), (scale,) = embeddings(2, 7, 5), embeddings(2, 7, 3, seed=4), embeddings(1, 1, 2, seed=5)
        ends = torch.tensor([[0, 1, 1, 6], [1, 0, 2, 3]], device=DEVICE)
        more = {"decoded.0": decoded, "decoded.1": decoded, "edges.0": ends, "edges.1": ends, "weight.encoder.scale": scale}

        def plain():
            sums = torch.zeros_like(z[1]).index_add(0, ends[1], z[1][ends[0]])
            return ((decoded * x.detach()).sum(1) + scale.sum() * (z[0] * sums).sum(1)).mean()

        for features in (x, x.detach().to_sparse_csr()):
            value = torch.ops.foil.loss("wants_graph", "", z, more={**more, "x.0": features, "x.1": features})
            self.assert_equal(value, plain(), z + [decoded, scale])
        kept = torch.classes.foil.Loss("wants_graph", "", {}, False)
        value = kept.forward(z, None, None, None, None, None, 0, None, None, None, {**more, "x.0": x, "x.1": x})
        self.assert_equal(value, plain(), z + [decoded, scale])
        with self.assertRaisesRegex(RuntimeError, "edges.1 is missing: this loss needs the edges of each view"):
            torch.ops.foil.loss("wants_graph", "", z, more={"x.0": x, "x.1": x, "edges.0": ends, "decoded.0": decoded, "decoded.1": decoded})
        for name in ("z.0", "p.0"):
            with self.assertRaisesRegex(RuntimeError, f"more: '{name}' is given by an argument of its own"):
                torch.ops.foil.loss("byol", "", z, p=z, target=z, more={name: z[0]})

    def test_what_is_missing_is_named(self):
        z, queue = embeddings(2, 7, 5), embeddings(1, 9, 5)
        kind = z[0].type().replace("torch.", "").replace("cuda.", "CUDA").replace("Tensor", "Type")
        kind = kind if "CUDA" in kind else "CPU" + kind
        for name, given, text in [
            ("byol", {"target": z}, rf"p.0 is missing: this loss needs the predictor on each view, {kind} \[7, 5\]\."),
            ("byol", {"p": z[:1], "target": z}, r"p.1 is missing: this loss needs the predictor on each view"),
            ("byol", {"p": z, "target": z[:1]}, rf"target.1 is missing: this loss needs z of each view by the momentum encoder, {kind} \[7, 5\]\."),
            ("byol", {"p": z, "target": z + z}, r"target.2 is one too many, allowed: target.0 to target.1\."),
            ("byol", {"p": z, "target": [x.float() for x in z]}, rf"target.0 is \S+ \[7, 5\], allowed: {kind} \[7, 5\], z of each view"),
            ("moco", {"target": z}, rf"queue.0 is missing: this loss needs as many earlier rows of target.1 as its options say, {kind} \[8, 5\]\."),
            ("moco", {"target": z, "queue": queue}, rf"queue.0 is {kind} \[9, 5\], allowed: {kind} \[8, 5\], as many earlier rows"),
        ]:
            with self.assertRaisesRegex(RuntimeError, text):
                torch.ops.foil.loss(name, "queue_length = 8" if name == "moco" else "", z, **given)

    def test_value_and_gradient_equal_plain_torch(self):
        z = embeddings(2, 7, 5)
        value = torch.ops.foil.loss("infonce", "temperature = 0.2", z)
        self.assert_equal(value, infonce(z, 0.2), z)

    def test_gradient_flows_through_an_encoder(self):
        torch.manual_seed(0)
        encoder = torch.nn.Linear(6, 4, dtype=torch.float64, device=DEVICE)
        x = torch.randn(9, 6, dtype=torch.float64, device=DEVICE)
        views = [encoder(x), encoder(x + 0.1)]
        torch.ops.foil.loss("infonce", "temperature = 0.5", views).backward(retain_graph=True)
        (want,) = torch.autograd.grad(infonce(views, 0.5), encoder.weight)
        torch.testing.assert_close(encoder.weight.grad, want, rtol=0, atol=1e-12)

    def test_labels_reach_a_loss_that_needs_them(self):
        z = embeddings(2, 6, 4)
        labels = [torch.tensor(ids, device=DEVICE) for ids in ([0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 2])]
        values = [torch.ops.foil.loss("supcon", "", z, label).item() for label in labels]
        self.assertNotAlmostEqual(values[0], values[1])
        with self.assertRaisesRegex(RuntimeError, "label is missing: this loss needs labels"):
            torch.ops.foil.loss("supcon", "", z)

    def test_errors_say_what_is_allowed(self):
        z = embeddings(2, 3, 4)
        for options, text in [("temprature = 1", "Did you mean 'temperature'"), ("temperature = -1", "temperature = -1, allowed: a number > 0")]:
            with self.assertRaisesRegex(RuntimeError, text):
                torch.ops.foil.loss("infonce", options, z)
        with self.assertRaisesRegex(RuntimeError, "Did you mean 'infonce'"):
            torch.ops.foil.loss("infonse", "", z)
        with self.assertRaisesRegex(RuntimeError, r"z.1 is \S+ \[4, 4\] but z.0 is \S+ \[3, 4\]"):
            torch.ops.foil.loss("infonce", "", [z[0], torch.randn(4, 4, dtype=torch.float64, device=DEVICE)])

    def test_features_and_the_labels_and_indices_of_a_queue_reach_a_loss(self):
        """The loss `wants`: mean of <h1, h2> + the queue's rows of the sample's class, not of itself."""
        z, h, (queue,) = embeddings(2, 3, 5), embeddings(2, 3, 4, seed=4), embeddings(1, 3, 5, seed=5)
        ids = {name: torch.tensor(x, device=DEVICE) for name, x in
               [("label", [1, 1, -1]), ("index", [4, 5, 6]), ("queue_label", [1, 0, -1]), ("queue_index", [5, 7, 8])]}
        given = dict(label=ids["label"], index=ids["index"], h=h, queue=[queue],
                     queue_label=[ids["queue_label"]], queue_index=[ids["queue_index"]])
        expected = lambda: (h[0] * h[1]).sum(1).mean() + (unit(z[0])[0] * unit(queue)[0].detach()).sum() / 3
        self.assert_equal(torch.ops.foil.loss("wants", "", z, **given), expected(), z + h)
        kept = torch.classes.foil.Loss("wants", "", {"dataset_size": 9})
        self.assert_equal(kept.forward(z, **given), expected(), z + h)
        for name, text in [("h", "h.0 is missing: this loss needs features before the head"), ("queue_label", "queue_label.0 is missing"),
                           ("queue_index", "queue_index.0 is missing"), ("index", "index is missing: this loss keeps state per sample")]:
            with self.assertRaisesRegex(RuntimeError, text):
                torch.ops.foil.loss("wants", "", z, **{k: v for k, v in given.items() if k != name})

    def test_a_label_of_minus_one_is_no_class(self):
        z = embeddings(2, 4, 5)
        of = lambda ids: torch.ops.foil.loss("supcon", "", z, torch.tensor(ids, device=DEVICE))
        torch.testing.assert_close(of([-1, 0, -1, 0]), of([1, 0, 2, 0]), rtol=0, atol=1e-12)
        self.assertNotAlmostEqual(of([-1, 0, -1, 0]).item(), of([1, 0, 1, 0]).item())

    def test_what_is_out_of_range_is_refused_in_a_line(self):
        z = embeddings(2, 3, 4)
        ids = lambda *x: torch.tensor(x, device=DEVICE)
        for name, given, text in [
            ("infonce", {"z": [x[:0] for x in z]}, r"z.0 has no rows: it is \S+ \[0, 4\]"),
            ("multiview", {"z": [x[:0] for x in z]}, r"z.0 has no rows"),
            ("infonce", {"z": [x[:, :0] for x in z]}, r"z.0 has no columns"),
            ("supcon", {"label": ids(0, -2, 1)}, r"label is -2 in row 1, allowed: -1 to 16777215"),
            ("supcon", {"label": ids(0, 2**31, 1)}, r"label is 2147483648 in row 1, allowed: -1 to 16777215"),
            ("sogclr", {"index": ids(0, 1, -1)}, r"index is -1 in row 2, allowed: 0 to 16777215, unless the dataset_size is given"),
            ("sogclr", {"index": ids(0, 1, 4 * 10**12)}, r"index is 4000000000000 in row 2"),
            ("sogclr", {}, r"index is missing: this loss keeps state per sample"),
        ]:
            with self.assertRaisesRegex(RuntimeError, text) as raised:
                torch.ops.foil.loss(name, "", **{"z": z, **given})
            self.assertNotIn("\n", str(raised.exception))

    def test_a_loss_with_state_is_refused(self):
        with self.assertRaisesRegex(RuntimeError, "has parameters or state; keep it in torch.classes.foil.Loss"):
            torch.ops.foil.loss("my_plugin", "", embeddings(2, 3, 4), index=torch.arange(3, device=DEVICE))


class Class(unittest.TestCase):
    """my_plugin is the loss of `foil new --with state`: a moving average of each sample's own loss."""

    SIZES = {"z_dim": 4, "dataset_size": 11, "views": 2, "batch_size": 3}

    def make(self):
        loss = torch.classes.foil.Loss("my_plugin", "strength = 2.0", self.SIZES)
        loss.to(DEVICE)
        return loss

    def steps(self, loss, first, count):
        values = []
        for step in range(first, first + count):
            generator = torch.Generator().manual_seed(step)
            z = [torch.randn(3, 4, generator=generator).to(DEVICE).requires_grad_() for _ in range(2)]
            index = torch.tensor([step % 3, 5, 10], device=DEVICE)
            value = loss.forward(z, None, index)
            value.backward()
            self.assertTrue(z[0].grad.abs().sum() > 0)
            loss.after_step()
            values.append(value.item())
        return values

    def test_state_moves_in_training_only(self):
        loss = self.make()
        before = loss.state_dict()["difficulty"]
        loss.train(False)
        self.steps(loss, 0, 1)
        self.assertTrue(torch.equal(before, loss.state_dict()["difficulty"]))
        loss.train(True)
        self.steps(loss, 0, 1)
        moved = (loss.state_dict()["difficulty"] != before).nonzero().flatten().tolist()
        self.assertEqual(moved, [0, 5, 10])

    def test_saved_and_loaded_goes_on_as_if_uninterrupted(self):
        whole = self.steps(self.make(), 0, 4)
        first = self.make()
        values = self.steps(first, 0, 2)
        second = self.make()
        second.load_state_dict(first.state_dict())
        self.assertEqual(whole, values + self.steps(second, 2, 2))

    def test_targets_queue_and_epoch_reach_the_loss(self):
        z, target, (queue,) = embeddings(2, 7, 5), embeddings(2, 7, 5, seed=4), embeddings(1, 9, 5, seed=5)
        options = "temperature = 0.2\nqueue_length = 9\nhardest = 4\npairs = 3\nwith_query = 2\nmixing_start_epoch = 3"
        loss = torch.classes.foil.Loss("mochi", options, {"z_dim": 5, "views": 2})
        before, mixing = (loss.forward(z, target=target, queue=[queue], epoch=epoch) for epoch in (2, 3))
        torch.testing.assert_close(before, moco(z[0], target[1], queue, 0.2), rtol=0, atol=1e-12)
        self.assertGreater(mixing.item(), before.item())  # five negatives more
        with self.assertRaisesRegex(RuntimeError, "target.0 is missing"):
            loss.forward(z, queue=[queue])

    def test_a_state_that_does_not_fit_is_refused(self):
        loss = self.make()
        state = loss.state_dict()
        with self.assertRaisesRegex(RuntimeError, "'difficulty' is missing"):
            loss.load_state_dict({k: v for k, v in state.items() if k != "difficulty"})
        with self.assertRaisesRegex(RuntimeError, r"'difficulty' is \[3\], allowed: \[11\]"):
            loss.load_state_dict({**state, "difficulty": torch.zeros(3)})
        with self.assertRaisesRegex(RuntimeError, "unknown size 'dataset'.*Did you mean 'dataset_size'"):
            torch.classes.foil.Loss("my_plugin", "", {"dataset": 3})


class Sizes(unittest.TestCase):
    """What torch.classes.foil.Loss is told beforehand, against what it then gets."""

    def test_a_loss_with_state_per_sample_takes_indices_of_its_data_only(self):
        z = embeddings(2, 3, 4)
        loss = torch.classes.foil.Loss("sogclr", "", {"dataset_size": 5})
        loss.to(DEVICE)
        with self.assertRaisesRegex(RuntimeError, "index is missing: this loss keeps state per sample"):
            loss.forward(z)
        for index, text in [([0, 1, 5], "index is 5 in row 2, allowed: 0 to 4"), ([0, -1, 2], "index is -1 in row 1, allowed: 0 to 4")]:
            with self.assertRaisesRegex(RuntimeError, text):
                loss.forward(z, index=torch.tensor(index, device=DEVICE))
        self.assertTrue((loss.state_dict()["log_u"] < -1e38).all())  # nothing has moved
        with self.assertRaisesRegex(RuntimeError, "dataset_size is missing from the sizes: this loss keeps state per sample"):
            torch.classes.foil.Loss("sogclr", "", {"z_dim": 4})

    def test_a_forgotten_or_wrong_size_is_named(self):
        for name in ("swav", "dino"):
            with self.assertRaisesRegex(RuntimeError, "of this loss is empty, .*: one of its sizes is not given: z_dim, "):
                torch.classes.foil.Loss(name)
        with self.assertRaisesRegex(RuntimeError, "z_dim = -1, allowed: an integer >= 0"):
            torch.classes.foil.Loss("swav", "", {"z_dim": -1})
        with self.assertRaisesRegex(RuntimeError, "sizes: z_dim = 5, but the tensors say 4"):
            torch.classes.foil.Loss("swav", "", {"z_dim": 5}).forward(embeddings(2, 3, 4))
        with self.assertRaisesRegex(RuntimeError, "the set-up of the loss failed for z_dim = 1000000 .*out of memory: ") as raised:
            torch.classes.foil.Loss("swav", "prototypes = 1000000000", {"z_dim": 1000000})
        self.assertNotIn("\n", str(raised.exception))

    def test_parameters_of_another_type_than_z_are_named_and_can_be_moved(self):
        z = embeddings(2, 3, 4)
        loss = torch.classes.foil.Loss("swav", "prototypes = 6", {"z_dim": 4})
        with self.assertRaisesRegex(RuntimeError, r"the parameter 'prototypes' of the loss is Float on cpu but z.0 is Double on \S+\. Move the loss first"):
            loss.forward(z)
        (parameter,) = loss.parameters()
        loss.to(DEVICE, torch.float64)
        loss.forward(z).backward()
        self.assertEqual(parameter.grad.dtype, torch.float64)


class Autocast(unittest.TestCase):
    """Inside any autocast of the caller's a loss is what it is outside, backward pass included."""

    def test_values_and_gradients_are_those_outside(self):
        z = [(30 * x.detach()[:, :16]).float().requires_grad_() for x in embeddings(2, 64, 16)]
        label = torch.arange(64, device=DEVICE) % 5
        for name, options in [("vicreg", ""), ("barlow", ""), ("supcon", ""), ("infonce", "temperature = 0.01"), ("dcl", "temperature = 0.05")]:
            def value():
                return torch.ops.foil.loss(name, options, z, label)
            outside = value()
            want = torch.autograd.grad(outside, z)
            for dtype in (torch.bfloat16, torch.float16):
                with torch.autocast(DEVICE, dtype=dtype):
                    inside = value()
                    got = torch.autograd.grad(inside, z, retain_graph=True)
                    kept = torch.classes.foil.Loss(name, options).forward(z, label)
                self.assertEqual(inside.dtype, torch.float32)
                self.assertTrue(outside.isfinite())
                for x in (inside, kept):
                    self.assertEqual(x.item(), outside.item(), name)
                for gradients in (got, torch.autograd.grad(inside, z)):
                    for a, b in zip(gradients, want):
                        self.assertLessEqual((a - b).abs().max(), 1e-6 * b.abs().max(), name)

    def test_parameters_get_their_gradient_too(self):
        z = [x.detach().float().requires_grad_() for x in embeddings(2, 32, 8)]
        loss = torch.classes.foil.Loss("swav", "prototypes = 6", {"z_dim": 8})
        loss.to(DEVICE)
        inputs = z + loss.parameters()
        want = torch.autograd.grad(loss.forward(z), inputs)
        with torch.autocast(DEVICE, dtype=torch.bfloat16):
            value = loss.forward(z)
            got = torch.autograd.grad(value, inputs)
            loss.after_step()
        for a, b in zip(got, want):
            self.assertLessEqual((a - b).abs().max(), 1e-6 * b.abs().max())

    def test_half_precision_from_an_encoder_is_widened(self):
        for dtype in (torch.bfloat16, torch.float16):
            z = [x.detach().to(dtype).requires_grad_() for x in embeddings(2, 16, 8)]
            value = torch.ops.foil.loss("infonce", "", z)
            self.assertEqual(value.dtype, torch.float32)
            torch.testing.assert_close(value, torch.ops.foil.loss("infonce", "", [x.float() for x in z]), rtol=0, atol=0)
            value.backward()
            self.assertEqual(z[0].grad.dtype, dtype)


RANK = """
import sys, torch, torch.distributed as dist
torch.ops.load_library(sys.argv[1])
z = [torch.randn(4, 3) for _ in range(2)]
def words(call):
    try:
        call()
        return "accepted"
    except RuntimeError as error:
        return str(error)
def both(**local):
    return [words(lambda: torch.ops.foil.loss("infonce", "", z, **local)),
            words(lambda: torch.classes.foil.Loss("infonce", "", {}, **local).forward(z))]
before = both()
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=int(sys.argv[3]), world_size=2)
within, alone = both(), both(local=True)
dist.barrier()
dist.destroy_process_group()
assert before == alone == both() == ["accepted"] * 2, (before, alone)
for text in within:
    assert "torch.distributed's default process group has 2 ranks" in text and "local=True" in text, text
"""


class Distributed(unittest.TestCase):
    def test_two_ranks_are_refused_unless_each_is_meant_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            commands = [[sys.executable, "-c", RANK, LIBRARY, os.path.join(folder, "store"), str(rank)] for rank in range(2)]
            environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
            ranks = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) for command in commands]
            words = [rank.communicate()[1] for rank in ranks]
            self.assertEqual([rank.returncode for rank in ranks], [0, 0], words)


unittest.main(argv=sys.argv[:1], verbosity=1)
