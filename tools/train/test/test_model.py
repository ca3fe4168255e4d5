"""The training model: its hand-written gradients, its optimizer, and that training is repeatable and learns."""
import math
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy, silu

from train.data import Streams
from train.nn.model import Model, load_model
from train.nn.operations import RmsNorm, SplitRotary, SwiGlu
from train.nn.optimizer import AdamSettings, AdamW, Schedule
from train.nn.shape import DRAFT, HEAD_DIM, TARGET, Shape
from train.target import Run, train_target

TINY = Shape(hidden_size=64, num_layers=2, num_heads=4, num_kv_heads=2, ffn_size=96)


def random(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(sum(size)))


class OperationsTest(unittest.TestCase):
    def compare(self, ours, plain, *inputs: torch.Tensor) -> None:  # type: ignore[no-untyped-def]
        """Same values and same gradients as autograd's own."""
        results = []
        for function in (ours, plain):
            leaves = [x.clone().requires_grad_(True) for x in inputs]
            out = function(*leaves)
            (out * random(*out.shape)).sum().backward()
            results.append([out.detach(), *(leaf.grad for leaf in leaves)])
        for mine, theirs in zip(*results):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)

    def test_rms_norm_has_autograds_gradients(self) -> None:
        def plain(x, w):  # type: ignore[no-untyped-def]
            return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * w
        self.compare(RmsNorm.apply, plain, random(6, 32), random(32))

    def test_swiglu_has_autograds_gradients(self) -> None:
        def plain(x):  # type: ignore[no-untyped-def]
            gate, up = x.chunk(2, -1)
            return silu(gate) * up
        self.compare(SwiGlu.apply, plain, random(6, 32))

    def test_split_rotary_has_autograds_gradients(self) -> None:
        rows, length, heads, kv = 2, 5, 4, 2
        angle = random(rows, 1, length, HEAD_DIM // 2)
        cos, sin = angle.cos(), angle.sin()

        def rotated(x):  # type: ignore[no-untyped-def]
            a, b = x.chunk(2, -1)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

        def plain(qkv):  # type: ignore[no-untyped-def]
            split = qkv.view(rows, length, heads + 2 * kv, HEAD_DIM).transpose(1, 2)
            query, key, value = split.split([heads, kv, kv], 1)
            return torch.cat([(rotated(query) / 8).reshape(-1), rotated(key).reshape(-1), value.reshape(-1)])

        def ours(qkv):  # type: ignore[no-untyped-def]
            return torch.cat([part.reshape(-1) for part in SplitRotary.apply(qkv, cos, sin, kv)])

        self.compare(ours, plain, random(rows, length, (heads + 2 * kv) * HEAD_DIM))


class ModelTest(unittest.TestCase):
    def test_the_pair_has_its_published_numbers_of_parameters(self) -> None:
        self.assertEqual((TARGET.num_parameters, DRAFT.num_parameters), (12_982_656, 524_928))

    def test_the_gradient_of_a_tied_embedding_is_the_sum_of_both_uses(self) -> None:
        model = Model(TINY, dtype=torch.float32)
        ids = torch.arange(12).view(2, 6)
        labels = ids.reshape(-1)
        cross_entropy(model.forward(ids), labels).backward()
        gradient = model.parameters.total_gradient()
        place, step = 3 * TINY.hidden_size + 5, 1e-2
        losses = []
        for sign in (1, -1):
            model.parameters.master[place] += sign * step
            model.parameters.publish()
            losses.append(float(cross_entropy(model.forward(ids).double(), labels)))
            model.parameters.master[place] -= sign * step
        self.assertAlmostEqual((losses[0] - losses[1]) / (2 * step), float(gradient[place]), delta=2e-4)

    def test_a_later_token_changes_no_earlier_logit(self) -> None:
        model = Model(TINY, dtype=torch.float32)
        ids = torch.arange(10)[None]
        changed = ids.clone()
        changed[0, 7] = 99
        torch.testing.assert_close(model.logits(ids)[:, :7], model.logits(changed)[:, :7])
        self.assertGreater(float((model.logits(ids) - model.logits(changed))[:, 7:].abs().max()), 1e-3)

    def test_only_differences_of_positions_matter(self) -> None:
        model = Model(TINY, dtype=torch.float32)
        ids = torch.arange(10)[None]
        with torch.no_grad():
            shifted = model.forward(ids, torch.arange(10)[None] + 1000)
        torch.testing.assert_close(shifted.view(1, 10, -1), model.logits(ids), rtol=1e-3, atol=1e-3)


class OptimizerTest(unittest.TestCase):
    def test_the_schedule_warms_up_peaks_and_ends_at_its_floor(self) -> None:
        schedule = Schedule(peak=1.0, num_steps=1000, warmup_steps=50, floor_ratio=0.04)
        self.assertAlmostEqual(schedule.rate(0), 1 / 50)
        self.assertAlmostEqual(schedule.rate(500), 0.52)
        self.assertAlmostEqual(schedule.rate(1000), 0.04)

    def test_the_first_step_moves_every_weight_by_the_rate_and_decays_matrices_only(self) -> None:
        # Adam's first step is rate * sign(gradient); decay takes rate * 0.1 of a matrix weight besides.
        model = Model(TINY, dtype=torch.float32)
        before = model.parameters.master.clone()
        model.parameters.gradient.fill_(1e-3)
        norm = AdamW(model.parameters, AdamSettings()).step(0.01)
        self.assertAlmostEqual(norm, 1e-3 * math.sqrt(len(before)), delta=1e-4)
        expected = before - 0.01 * 0.1 * model.parameters.decay * before - 0.01
        torch.testing.assert_close(model.parameters.master, expected, rtol=1e-4, atol=1e-5)
        self.assertEqual(float(model.parameters.gradient.abs().max()), 0)


class TrainingTest(unittest.TestCase):
    def test_training_learns_and_a_second_run_gives_the_same_weights(self) -> None:
        pattern = np.tile(np.arange(40, 60), 300).astype(np.int64)
        streams = Streams(*(pattern for _ in range(5)))
        weights = []
        for _ in range(2):
            with tempfile.TemporaryDirectory() as folder:
                path = train_target(streams, Run(Path(folder), num_steps=12), TINY)
                model, progress = load_model(path)
                weights.append(model.parameters.master)
        self.assertTrue(torch.equal(*weights))
        self.assertLess(progress["heldout_loss"], math.log(1024) - 0.3)
