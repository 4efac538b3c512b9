# SPDX-License-Identifier: BSD-3-Clause
"""torch_test.py LIBRARY [cuda]: foil's losses as seen from Python, against the same formulas in plain torch."""
import sys
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
    return sum((2 - 2 * (unit(p[1 - v]) * unit(target[v]).detach()).sum(1)).mean() for v in range(2))


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

    def test_a_loss_with_state_is_refused(self):
        with self.assertRaisesRegex(RuntimeError, "has parameters or state; keep it in torch.classes.foil.Loss"):
            torch.ops.foil.loss("my_plugin", "", embeddings(2, 3, 4))


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
        options = "temperature = 0.2\nqueue_length = 9\nhardest = 4\npairs = 3\nwith_query = 2\nstart_epoch = 3"
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


unittest.main(argv=sys.argv[:1], verbosity=1)
