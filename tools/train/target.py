"""Trains the target in two phases: the plays of input.txt with dropout, then all works without.

Deterministic for one seed, one number of threads and one kind of processor: every schedule counts steps, never time.
"""
from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from .data import Mixture, Streams, gapped_positions, sample_windows
from .measure.loss import mean_loss
from .nn.model import Dropout, Model, load_model
from .nn.optimizer import AdamSettings, AdamW, Schedule
from .nn.shape import MAX_POSITIONS, TARGET, Shape

TOKENS_PER_STEP = 3072
WINDOWS = (256, 512, 1024)
WINDOW_SHARES = (0.80, 0.13, 0.07)
EVALUATION_WINDOW = 256
STEPS_PER_LINE = 20


@dataclass(frozen=True)
class Phase:
    """One stretch of training with its own schedule and optimizer state. The best evaluation's weights are kept."""

    name: str
    num_steps: int
    steps_per_evaluation: int
    peak_rate: float
    dropout_ratio: float
    text: Mixture


PHASES = (
    Phase("plays", 1074, 107, 1.2e-3, 0.1, Mixture(more_ratio=0.0, chat_ratio=0.12)),
    Phase("works", 1733, 173, 1.0e-3, 0.0, Mixture(more_ratio=0.7, chat_ratio=0.12)),
)


@dataclass(frozen=True)
class Run:
    """Settings that training the target and training the draft share. `num_steps` replaces the planned number."""

    work: Path
    seed: int = 1
    dtype: torch.dtype = torch.bfloat16
    num_steps: int | None = None


class Progress:
    """Counts steps and tokens since the start of a phase and prints a line now and then."""

    def __init__(self, name: str, num_steps: int) -> None:
        self.step = 0
        self.num_tokens = 0
        self._name = name
        self._num_steps = num_steps
        self._losses: deque[float] = deque(maxlen=60)
        self._started_s = time.monotonic()

    def add(self, loss: float, num_tokens: int) -> None:
        """Notes one finished step."""
        self.step += 1
        self.num_tokens += num_tokens
        self._losses.append(loss)

    def say(self, text: str) -> None:
        """One line: where we are, the mean training loss of the last 60 steps, speed, and `text`."""
        elapsed_s = time.monotonic() - self._started_s
        loss = sum(self._losses) / max(1, len(self._losses))
        print(f"{self._name} step {self.step}/{self._num_steps} loss {loss:.4f} "
              f"{self.num_tokens / max(elapsed_s, 1e-9):.0f} tokens/s {elapsed_s / 60:.1f} min {text}", flush=True)


def train_target(streams: Streams, run: Run, shape: Shape = TARGET) -> Path:
    """Runs both phases, each from the best weights so far; returns the last phase's checkpoint, `target.pt`."""
    model = Model(shape, run.seed, run.dtype)
    print(f"target: {shape.num_parameters:,} parameters", flush=True)
    checkpoint = run.work / "target.pt"
    for phase in PHASES:
        if run.num_steps is not None:
            phase = replace(phase, num_steps=run.num_steps, steps_per_evaluation=max(1, run.num_steps // 2))
        last = phase.name == PHASES[-1].name
        path = checkpoint if last else run.work / f"target-{phase.name}.pt"
        _run_phase(model, streams, phase, replace(run, work=path))
        model, _ = load_model(path, run.dtype)
    return checkpoint


def _run_phase(model: Model, streams: Streams, phase: Phase, run: Run) -> None:
    """Trains `model` in place; `run.work` is the file that receives the best weights."""
    schedule = Schedule(phase.peak_rate, phase.num_steps)
    optimizer = AdamW(model.parameters, AdamSettings())
    rng = np.random.default_rng(run.seed)
    dropout = Dropout(phase.dropout_ratio, run.seed, run.dtype) if phase.dropout_ratio > 0 else None
    progress = Progress(f"target {phase.name}", phase.num_steps)
    best = float("inf")
    while progress.step < phase.num_steps:
        inputs, labels, positions = _batch(rng, streams, phase.text)
        logits = model.forward(inputs, positions, dropout)
        loss = cross_entropy(logits.float(), labels.reshape(-1))
        loss.backward()
        rate = schedule.rate(progress.step)
        norm = optimizer.step(rate)
        progress.add(float(loss), inputs.numel())
        if progress.step % STEPS_PER_LINE == 0:
            progress.say(f"gradient {norm:.2f} rate {rate:.2e}")
        if progress.step % phase.steps_per_evaluation == 0 or progress.step == phase.num_steps:
            heldout = mean_loss(model.logits, streams.heldout, EVALUATION_WINDOW)
            better = heldout < best
            if better:
                best = heldout
                model.save(run.work, heldout_loss=heldout, step=progress.step, num_tokens=progress.num_tokens)
            progress.say(f"held-out {heldout:.4f}{' (best so far)' if better else ''}")


def _batch(rng: np.random.Generator, streams: Streams, text: Mixture) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, labels and positions, each [B, T] with B * T = 3,072; one window length and one stream per batch."""
    length = int(rng.choice(WINDOWS, p=WINDOW_SHARES))
    rows = TOKENS_PER_STEP // length
    windows = sample_windows(rng, text.pick(rng, streams), rows, length + 1)
    positions = gapped_positions(rng, rows, length, MAX_POSITIONS)
    inputs, labels = (torch.from_numpy(part.copy()) for part in (windows[:, :-1], windows[:, 1:]))
    return inputs, labels, torch.from_numpy(positions)
