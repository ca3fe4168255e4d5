"""Everything the model card says about a pair, measured again on its exported folders."""
from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch

from .data import Streams
from .measure.acceptance import (calibration, greedy_draft_hits, heldout_prompts, sampled_draft_hits, walk,
                                 write_trajectory, Trajectory)
from .measure.decoder import Decoder
from .measure.lookup import measure_lookup
from .measure.loss import mean_loss
from .measure.noise import measure_shared_noise
from .measure.reference import Reference, greedy, load_expected
from .measure.speculation import Speculation
from .tokenizer import ASSISTANT, END_OF_TEXT, USER, Tokenizer

LONGEST_CHAIN = 8
CHAINS = (1, 2, 3, 4, 5, 6, 8)
LOSS_WINDOWS = (128, 256, 512, 1024, 2048)
LOSS_WINDOW = 256
SEEN_TEXT_WINDOWS = 195
TIMED_CONTEXT, TIMED_WIDTHS, TIMED_RUNS = 192, (1, 5, 9), 200
QUESTION = "What is the news from Rome?"

Report = dict[str, Any]


class Evaluation:
    """Measures of one pair; every part is independent, trajectories are written once. `max_windows` bounds the losses."""

    def __init__(self, models: Path, streams: Streams, max_windows: int | None = None) -> None:
        self.folders = {kind: models / f"shakespeare-{kind}" for kind in ("target", "draft")}
        self.target, self.draft = (Decoder.open(folder) for folder in self.folders.values())
        self.tokenizer = Tokenizer(self.folders["target"] / "tokenizer.json")
        self.streams = streams
        self.max_windows = max_windows
        self.prompts = heldout_prompts(streams.heldout)

    def parts(self) -> dict[str, Callable[[], Report]]:
        """All parts by name, quickest first."""
        return dict(reference=self.reference, loss=self.loss, samples=self.samples, timing=self.timing,
                    acceptance=self.acceptance, calibration=self.calibration, lookup=self.lookup, noise=self.noise,
                    speculation=self.speculation)

    @cached_property
    def trajectories(self) -> dict[str, Trajectory]:
        """The target's continuations of the held-out prompts, greedy and at temperature 1."""
        temperatures = {"greedy": 0.0, "temperature 1": 1.0}
        return {name: write_trajectory(self.target, self.draft, self.prompts, t) for name, t in temperatures.items()}

    def _both(self, measure: Callable[[str, Decoder], Report]) -> Report:
        return {kind: measure(kind, decoder) for kind, decoder in (("target", self.target), ("draft", self.draft))}

    def reference(self) -> Report:
        """reference.json against the numpy pass: largest difference of a logit, and whether the greedy text is the same."""
        def compare(kind: str, _: Decoder) -> Report:
            expected = load_expected(self.folders[kind])
            logits, ids = greedy(Reference(self.folders[kind]), expected["prompt_ids"], len(expected["greedy_ids"]))
            difference = np.abs(logits[expected["next_top_ids"]] - expected["next_top_logits"]).max()
            return dict(logit_difference=round(float(difference), 6), same_greedy_ids=ids == expected["greedy_ids"])
        return self._both(compare)

    def loss(self) -> Report:
        """Nats per token, held out by window and on the training text; bits per byte at window 256."""
        tokens = self.streams.heldout
        tokens_per_byte = len(tokens) / len(self.tokenizer.decode(tokens).encode())

        def losses(_: str, decoder: Decoder) -> Report:
            heldout = {window: mean_loss(decoder.logits, tokens, window, self.max_windows) for window in LOSS_WINDOWS}
            limit = min(SEEN_TEXT_WINDOWS, self.max_windows or SEEN_TEXT_WINDOWS)
            seen = {name: mean_loss(decoder.logits, getattr(self.streams, name), LOSS_WINDOW, limit)
                    for name in ("train", "more")}
            return dict(heldout={window: round(loss, 4) for window, loss in heldout.items()},
                        heldout_bits_per_byte=round(heldout[LOSS_WINDOW] / float(np.log(2)) * tokens_per_byte, 3),
                        **{name: round(loss, 4) for name, loss in seen.items()})
        return self._both(losses)

    def samples(self) -> Report:
        """Three continuations of held-out prompts and one chat turn, 120 tokens each."""
        def continued(row: int, temperature: float) -> Report:
            prompt = self.prompts[row:row + 1]
            tokens, _ = self.target.generate(prompt, 120, temperature, torch.Generator().manual_seed(row))
            return dict(temperature=temperature, prompt_end=self.tokenizer.decode(prompt[0, 40:].tolist()),
                        text=self.tokenizer.decode(tokens[0].tolist()))
        chat = [USER, *self.tokenizer.encode(QUESTION), END_OF_TEXT, ASSISTANT]
        answer = self.target.generate(torch.tensor([chat]), 120, 0.8, torch.Generator().manual_seed(2))[0][0].tolist()
        if END_OF_TEXT in answer:
            answer = answer[:answer.index(END_OF_TEXT)]
        return dict(texts=[continued(5, 0.8), continued(23, 0.8), continued(47, 1.0)],
                    chat=dict(user=QUESTION, assistant=self.tokenizer.decode(answer), num_tokens=len(answer)))

    def timing(self) -> Report:
        """Milliseconds of one forward pass of 1, 5 and 9 tokens after 192, the least of 200 runs."""
        def least_ms(_: str, decoder: Decoder) -> Report:
            cache = decoder.new_cache(1, TIMED_CONTEXT + max(TIMED_WIDTHS))
            decoder.forward(self.prompts[:1].repeat(1, 3), cache)
            best: dict[str, float] = {}
            for width in TIMED_WIDTHS:
                runs_s = []
                for _run in range(TIMED_RUNS):
                    cache.num_tokens = TIMED_CONTEXT
                    started_s = time.perf_counter()
                    decoder.forward(self.prompts[:1, :width], cache)
                    runs_s.append(time.perf_counter() - started_s)
                best[f"{width} tokens"] = round(min(runs_s) * 1e3, 3)
            return best
        return self._both(least_ms)

    def acceptance(self) -> Report:
        """Accepted draft tokens by position in a chain of 8, and per step for several lengths of chain."""
        sampled = self.trajectories["temperature 1"]
        modes = {
            "greedy": greedy_draft_hits(self.trajectories["greedy"]),
            "temperature 1": sampled_draft_hits(sampled),
            "temperature 1, draft greedy": greedy_draft_hits(sampled),
        }
        report: Report = {name: dict(**walk(hits, LONGEST_CHAIN).positions(),
                                     per_step={k: round(walk(hits, k).accepted_per_step, 3) for k in CHAINS})
                          for name, hits in modes.items()}
        report["sum min(p,q)"] = round(float(torch.minimum(sampled.p, sampled.q).sum(-1).mean()), 4)
        entropy = -(sampled.p * sampled.p.clamp_min(1e-12).log()).sum(-1).mean()
        report["target entropy, nats"] = round(float(entropy), 3)
        return report

    def calibration(self) -> Report:
        """Acceptance by the draft's confidence."""
        return {name: calibration(trajectory) for name, trajectory in self.trajectories.items()}

    def lookup(self) -> Report:
        """Prompt lookup on the same trajectories, up to 8 tokens per proposal."""
        return {f"{name}, n = 3..{shortest}": measure_lookup(trajectory.prompts, trajectory.tokens, LONGEST_CHAIN, shortest)
                for name, trajectory in self.trajectories.items() for shortest in (2, 1)}

    def noise(self) -> Report:
        """Candidates under shared noise."""
        return measure_shared_noise(self.target, self.draft, self.streams.heldout)

    def speculation(self) -> Report:
        """Accepted per step of plain speculative decoding with chains of 4, 128 tokens per prompt; minutes."""
        return {name: round(Speculation(self.target, self.draft, 4, temperature).accepted_per_step(self.prompts, 128), 3)
                for name, temperature in (("greedy", 0.0), ("temperature 1", 1.0))}
