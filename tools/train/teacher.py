"""What the draft learns from: the target's distributions over windows of text and over the target's own samples.

Kept in `<work>/teacher/` (2.3 GB for the full plan), because computing it takes minutes and training reads it ten times.
`about.json` is written last and names the target and the plan; anything else there is computed anew.
"""
from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .data import Ids, Mixture, Streams, sample_windows
from .measure.decoder import Decoder
from .nn.model import Model
from .tokenizer import VOCAB_SIZE

WINDOW = 256
PROMPT_TOKENS = 16
ROWS_PER_FORWARD = 16
SAMPLE_TEXT = Mixture(more_ratio=0.7, chat_ratio=0.15)
COOL_RATIO, COOL_TEMPERATURE = 0.25, 0.7
"""One batch of samples in four is drawn at 0.7 instead of 1."""


@dataclass(frozen=True)
class TeacherPlan:
    """How much is collected: windows of each text stream, and batches of samples."""

    train: int = 405
    more: int = 945
    train_chat: int = 45
    more_chat: int = 104
    sample_batches: int = 15
    rows_per_batch: int = 192

    def scaled(self, ratio: float) -> TeacherPlan:
        """About `ratio` of everything, at least one of each."""
        counts = {name: max(1, round(count * ratio)) for name, count in asdict(self).items() if name != "rows_per_batch"}
        return replace(self, **counts)

    @property
    def num_windows(self) -> int:
        """Windows in all, text and samples."""
        return self.num_text_windows + self.sample_batches * self.rows_per_batch

    @property
    def num_text_windows(self) -> int:
        """Windows of text; they are stored before the samples."""
        return self.train + self.more + self.train_chat + self.more_chat


@dataclass(frozen=True)
class Teacher:
    """tokens [N, 256]; log_probs float16 [N, 256, vocab], on disk: entry i is the distribution of token i + 1.

    A window's distributions before `first_known[n]` are unset: a sample's prompt was not the target's choice.
    """

    tokens: Ids
    log_probs: NDArray[np.float16]
    first_known: Ids

    def batch(self, rows: Ids) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens [B, T], probabilities float32 [B*T, vocab] (zero where unset), and which are set, float32 [B*T]."""
        known = torch.from_numpy(np.arange(WINDOW) >= self.first_known[rows][:, None]).float().reshape(-1)
        probabilities = torch.from_numpy(self.log_probs[rows]).view(-1, VOCAB_SIZE).float().exp_()
        return torch.from_numpy(self.tokens[rows]), probabilities.mul_(known[:, None]), known


def load_teacher(target: Model, streams: Streams, work: Path, plan: TeacherPlan) -> Teacher:
    """Reads the stored teacher, after computing it when it belongs to another target or plan."""
    folder = work / "teacher"
    weights = target.parameters.master.numpy()
    about: dict[str, Any] = dict(plan=asdict(plan), target=hashlib.sha256(weights).hexdigest())
    stamp = folder / "about.json"
    if not stamp.exists() or json.loads(stamp.read_text(encoding="utf-8")) != about:
        folder.mkdir(exist_ok=True)
        stamp.unlink(missing_ok=True)
        _collect(target, streams, plan, folder)
        stamp.write_text(json.dumps(about, indent=2), encoding="utf-8")
    first_known = np.zeros(plan.num_windows, np.int64)
    first_known[plan.num_text_windows:] = PROMPT_TOKENS - 1
    return Teacher(np.load(folder / "tokens.npy"), np.load(folder / "log-probs.npy", mmap_mode="r"), first_known)


def _collect(model: Model, streams: Streams, plan: TeacherPlan, folder: Path) -> None:
    rng = np.random.default_rng(5)
    tokens = np.zeros((plan.num_windows, WINDOW), np.int64)
    size = (plan.num_windows, WINDOW, VOCAB_SIZE)
    log_probs = np.lib.format.open_memmap(folder / "log-probs.npy", mode="w+", dtype=np.float16, shape=size)
    done = 0
    for ids, rows, first_known in _windows(model, streams, plan, rng):
        end = done + len(ids)
        tokens[done:end] = ids
        log_probs[done:end, first_known:] = rows
        if end // 256 > done // 256 or end == plan.num_windows:
            print(f"teacher: {end}/{plan.num_windows} windows", flush=True)
        done = end
    log_probs.flush()
    np.save(folder / "tokens.npy", tokens)


Rows = tuple[NDArray[np.int64], NDArray[np.float16], int]
"""Tokens [B, 256], log-probabilities [B, 256 - first, vocab], first."""


def _windows(model: Model, streams: Streams, plan: TeacherPlan, rng: np.random.Generator) -> Iterator[Rows]:
    """Text first, then samples."""
    for name in ("train", "more", "train_chat", "more_chat"):
        for ids in _text_windows(rng, getattr(streams, name), getattr(plan, name)).split(ROWS_PER_FORWARD):
            yield ids.numpy(), torch.log_softmax(model.logits(ids), -1).half().numpy(), 0
    decoder = Decoder.of(model, torch.bfloat16)
    generator = torch.Generator().manual_seed(9)
    for _ in range(plan.sample_batches):
        stream = SAMPLE_TEXT.pick(rng, streams)
        prompt = torch.from_numpy(sample_windows(rng, stream, plan.rows_per_batch, PROMPT_TOKENS))
        temperature = COOL_TEMPERATURE if rng.random() < COOL_RATIO else 1.0
        sampled, rows = decoder.generate(prompt, WINDOW - PROMPT_TOKENS + 1, temperature, generator)
        yield torch.cat([prompt, sampled[:, :-1]], 1).numpy(), rows.numpy(), PROMPT_TOKENS - 1


def _text_windows(rng: np.random.Generator, ids: Ids, count: int) -> Tensor:
    """[count, 256]: a random choice of the consecutive windows that begin at a random phase."""
    starts = int(rng.integers(0, WINDOW)) + np.arange((len(ids) - WINDOW) // WINDOW) * WINDOW
    return torch.from_numpy(np.stack([ids[start:start + WINDOW] for start in rng.permutation(starts)[:count]]))
