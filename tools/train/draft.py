"""Distils the draft: it learns the target's whole distribution, and in the second half the acceptance rate itself.

The chance that a token sampled from q is accepted against p is sum min(p, q) = 1 - TV(p, q) (Leviathan et al., ICML'23,
§3.2), so the total variation is added to the loss once q is near p.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .data import Ids, Streams, consecutive_windows, gapped_positions
from .measure.loss import mean_loss
from .nn.model import Model
from .nn.optimizer import AdamSettings, AdamW, Schedule
from .nn.shape import DRAFT, MAX_POSITIONS, Shape
from .target import Progress, Run
from .teacher import ROWS_PER_FORWARD, WINDOW, Teacher, TeacherPlan, load_teacher

NUM_STEPS = 2868
STEPS_PER_EVALUATION = 574
ROWS_PER_STEP = 16
PEAK_RATE = 4e-3
SETTINGS = AdamSettings(beta2=0.98, weight_decay=0.02)
STEPS_PER_LINE = 100


def train_draft(target: Model, streams: Streams, run: Run, plan: TeacherPlan = TeacherPlan(), shape: Shape = DRAFT) -> Path:
    """Distils `target` into a new model; returns its checkpoint `draft.pt`, the best by acceptance and top-1 agreement."""
    num_steps = run.num_steps or NUM_STEPS
    steps_per_evaluation = STEPS_PER_EVALUATION if run.num_steps is None else max(1, num_steps // 2)
    lessons = Lessons(load_teacher(target, streams, run.work, plan), np.random.default_rng(run.seed))
    exam = Exam.of(target, streams.heldout)
    model = Model(shape, run.seed, run.dtype)
    print(f"draft: {shape.num_parameters:,} parameters", flush=True)
    optimizer, schedule = AdamW(model.parameters, SETTINGS), Schedule(PEAK_RATE, num_steps)
    progress = Progress("draft", num_steps)
    path, best = run.work / "draft.pt", 0.0
    while progress.step < num_steps:
        loss = lessons.loss(model, near=progress.step > num_steps / 2)
        loss.backward()
        rate = schedule.rate(progress.step)
        norm = optimizer.step(rate)
        progress.add(float(loss), ROWS_PER_STEP * WINDOW)
        if progress.step % STEPS_PER_LINE == 0:
            progress.say(f"gradient {norm:.2f} rate {rate:.2e}")
        if progress.step % steps_per_evaluation == 0 or progress.step == num_steps:
            acceptance, agreement = exam.grade(model)
            heldout = mean_loss(model.logits, streams.heldout, WINDOW)
            better = acceptance + agreement > best
            if better:
                best = acceptance + agreement
                model.save(path, heldout_loss=heldout, step=progress.step, num_tokens=progress.num_tokens)
            progress.say(f"held-out {heldout:.4f} sum min(p,q) {acceptance:.4f} top-1 agreement {agreement:.4f}"
                         f"{' (best so far)' if better else ''}")
    return path


class Lessons:
    """The teacher's windows in random order: each once before any comes again, less a remainder smaller than a batch."""

    def __init__(self, teacher: Teacher, rng: np.random.Generator) -> None:
        self._teacher = teacher
        self._rng = rng
        self._order = np.zeros(0, np.int64)

    def loss(self, model: Model, near: bool) -> Tensor:
        """The loss of `model` on the next 16 windows (on all when there are fewer)."""
        size = len(self._teacher.tokens)
        if len(self._order) < min(ROWS_PER_STEP, size):
            self._order = self._rng.permutation(size)
        rows, self._order = self._order[:ROWS_PER_STEP], self._order[ROWS_PER_STEP:]
        tokens, wanted, known = self._teacher.batch(rows)
        positions = torch.from_numpy(gapped_positions(self._rng, len(rows), WINDOW, MAX_POSITIONS))
        log_q = torch.log_softmax(model.forward(tokens, positions).float(), -1)
        return distillation_loss(log_q, wanted, known, near)


def distillation_loss(log_q: Tensor, wanted: Tensor, known: Tensor, near: bool) -> Tensor:
    """Mean cross entropy against `wanted` over the known rows, plus the mean total variation when `near`.

    log_q and wanted [N, vocab], known [N] of 0 and 1; rows of `wanted` that are not known are zero.
    """
    loss = -(wanted * log_q).sum() / known.sum()
    if not near:
        return loss
    total_variation = 0.5 * (wanted - log_q.exp()).abs().sum(-1)
    return loss + (total_variation * known).sum() / known.sum()


@dataclass(frozen=True)
class Exam:
    """Held-out windows with the target's log-probabilities, float16 [B, T, vocab] per batch."""

    batches: list[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, target: Model, heldout: Ids) -> Exam:
        """Runs the target over the held-out text once."""
        inputs = torch.from_numpy(consecutive_windows(heldout, WINDOW)[0]).split(ROWS_PER_FORWARD)
        return cls([(ids, torch.log_softmax(target.logits(ids), -1).half()) for ids in inputs])

    def grade(self, draft: Model) -> tuple[float, float]:
        """Means over all positions: sum min(p, q), and whether both models put the same token first."""
        accepted = agreed = count = 0.0
        for ids, log_p in self.batches:
            p, q = log_p.float().exp(), torch.softmax(draft.logits(ids), -1)
            accepted += float(torch.minimum(p, q).sum())
            agreed += float((p.argmax(-1) == q.argmax(-1)).sum())
            count += ids.numel()
        return accepted / count, agreed / count
