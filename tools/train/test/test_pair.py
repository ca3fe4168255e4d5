"""Exported folders and what is measured on them: exports equal the model, the bundled pair equals its card."""
import tempfile
import unittest
from functools import cache
from pathlib import Path

import numpy as np
import torch

from train.data import Streams, encode_corpus, load_corpus
from train.draft import distillation_loss, train_draft
from train.evaluate import Evaluation
from train.export import check_export, export_model
from train.hf.folder import generation_config, model_config, model_of, read_folder, tokenizer_config, write_json
from train.hf.safetensors import write_safetensors
from train.measure.acceptance import walk
from train.measure.decoder import Decoder
from train.measure.loss import mean_loss
from train.measure.lookup import measure_lookup, propose
from train.measure.speculation import Speculation
from train.nn.model import Model, load_model
from train.nn.shape import DRAFT, TARGET, Shape
from train.target import Run, train_target
from train.teacher import TeacherPlan
from train.tokenizer import Tokenizer

MODELS = Path(__file__).resolve().parents[3] / "models"
TINY = Shape(hidden_size=64, num_layers=2, num_heads=4, num_kv_heads=2, ffn_size=96)


@cache
def text_streams() -> Streams:
    return encode_corpus(load_corpus(), Tokenizer(MODELS / "shakespeare-target" / "tokenizer.json"))


class ExportTest(unittest.TestCase):
    def test_a_trained_pair_exports_to_folders_that_compute_the_same(self) -> None:
        streams = text_streams()
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            run = Run(work, num_steps=4)
            target, _ = load_model(train_target(streams, run, TINY))
            plan = TeacherPlan(train=4, more=4, train_chat=4, more_chat=4, sample_batches=1, rows_per_batch=4)
            train_draft(target, streams, run, plan, TINY)
            for kind in ("target", "draft"):
                folder = work / "models" / kind
                model = export_model(work / f"{kind}.pt", MODELS / "shakespeare-target" / "tokenizer.json", folder)
                torch.testing.assert_close(model_of(folder).parameters.master, model.parameters.master, rtol=1e-3, atol=1e-6)
                agreement = check_export(folder, model, streams.heldout)
                self.assertLess(agreement.rounding, 0.02)
                self.assertLess(agreement.cached, 1e-4)
                self.assertGreater(agreement.logits_std, 0.1)

    def test_the_bundled_folders_hold_exactly_what_an_export_writes(self) -> None:
        for kind, shape in (("target", TARGET), ("draft", DRAFT)):
            bundled = MODELS / f"shakespeare-{kind}"
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                write_json(folder / "config.json", model_config(shape))
                write_json(folder / "generation_config.json", generation_config())
                write_json(folder / "tokenizer_config.json", tokenizer_config())
                write_safetensors(folder / "model.safetensors", read_folder(bundled)[1])
                for file in folder.iterdir():
                    self.assertEqual(file.read_bytes(), (bundled / file.name).read_bytes(), file.name)


class BundledPairTest(unittest.TestCase):
    def test_reference_files_and_held_out_losses_are_those_of_the_card(self) -> None:
        evaluation = Evaluation(MODELS, text_streams())
        for kind, compared in evaluation.reference().items():
            self.assertLess(compared["logit_difference"], 1e-3, kind)
            self.assertTrue(compared["same_greedy_ids"], kind)
        heldout = evaluation.streams.heldout
        self.assertAlmostEqual(mean_loss(evaluation.target.logits, heldout, 256), 2.975, delta=0.001)
        self.assertAlmostEqual(mean_loss(evaluation.draft.logits, heldout, 256), 3.190, delta=0.001)


class AcceptanceTest(unittest.TestCase):
    def test_a_walk_counts_what_a_chain_would_reach_and_accept(self) -> None:
        # Chain of 2 over 1 1 0 | 0 | 1 0 | 1: accepts 2 (then one token), 0, 1; the rest is too short to begin.
        counted = walk(np.array([[1, 1, 0, 0, 1, 0, 1]], bool), 2)
        self.assertEqual(counted.num_steps, 3)
        self.assertEqual(counted.reached.tolist(), [3, 2])
        self.assertEqual(counted.accepted.tolist(), [2, 1])
        self.assertEqual(counted.accepted_per_step, 1.0)

    def test_lookup_proposes_what_followed_the_latest_match(self) -> None:
        self.assertEqual(propose([1, 2, 3, 9, 1, 2, 4, 5, 1, 2], 3, 2, 2), [4, 5])
        self.assertEqual(propose([1, 2, 3, 4], 3, 1, 8), [])
        # 1 2 1 2 | 1 2 1 2 1: one proposal of 4, all accepted, then one token.
        measured = measure_lookup(torch.tensor([[1, 2, 1, 2]]), torch.tensor([[1, 2, 1, 2, 1]]), 2, 2)
        self.assertEqual(measured, dict(tokens_per_step=3.0, proposal_ratio=1.0, accepted_per_proposal=2.0))

    def test_a_draft_equal_to_the_target_is_always_accepted(self) -> None:
        draft = Decoder.open(MODELS / "shakespeare-draft")
        prompts = torch.arange(300, 316).view(2, 8)
        for temperature in (0.0, 1.0):
            accepted = Speculation(draft, draft, 3, temperature).accepted_per_step(prompts, 12)
            self.assertAlmostEqual(accepted, 3.0, delta=0.01)

    def test_greedy_speculation_writes_the_targets_own_text(self) -> None:
        target = Decoder.of(Model(TINY, seed=3), torch.float32)
        draft = Decoder.of(Model(TINY, seed=4), torch.float32)
        prompt = list(range(300, 308))
        written = Speculation(target, draft, 3, 0.0).decode(prompt, 20, torch.Generator()).ids
        expected, _ = target.generate(torch.tensor([prompt]), 20, 0.0, torch.Generator())
        self.assertEqual(written[len(prompt):len(prompt) + 20], expected[0].tolist())

    def test_total_variation_joins_the_loss_only_near_the_end(self) -> None:
        wanted = torch.tensor([[0.5, 0.5], [0.0, 0.0]])
        log_q = torch.tensor([[0.9, 0.1], [0.5, 0.5]]).log()
        known = torch.tensor([1.0, 0.0])
        far = float(distillation_loss(log_q, wanted, known, near=False))
        self.assertAlmostEqual(far, -0.5 * (np.log(0.9) + np.log(0.1)), places=5)
        self.assertAlmostEqual(float(distillation_loss(log_q, wanted, known, near=True)) - far, 0.4, places=5)
