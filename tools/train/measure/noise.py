"""Shared noise: how often the draft's best w tokens hold the target's when both perturb their logits alike.

Gumbel-max: argmax(log p / T + g) with g = -log(-log u) is an exact sample of p at temperature T; the same g for the
draft makes its choice agree far more often than independent samples would, and the target's sample stays exact.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import Ids
from .decoder import Decoder

TEMPERATURES = (0.6, 0.8, 1.0)
MOST_CANDIDATES = 4
CONTEXT, WINDOW, DRAWS = 64, 256, 4


def measure_shared_noise(target: Decoder, draft: Decoder, heldout: Ids) -> dict[str, Any]:
    """Per temperature, lists over w = 1..4: match with shared noise, and without noise; and sum min(p, q).

    That sum is the most any coupling of the two can match with one candidate.
    """
    starts = range(0, len(heldout) - CONTEXT - WINDOW, WINDOW)
    windows = torch.from_numpy(np.stack([heldout[start:start + CONTEXT + WINDOW] for start in starts]))
    of_target, of_draft = (_logits(decoder, windows) for decoder in (target, draft))
    generator = torch.Generator().manual_seed(7)
    measured: dict[str, Any] = dict(num_positions=len(of_target))
    for temperature in TEMPERATURES:
        matched, top, least = np.zeros(MOST_CANDIDATES), np.zeros(MOST_CANDIDATES), 0.0
        for a, b in zip((of_target / temperature).split(4096), (of_draft / temperature).split(4096)):
            matched += sum(_matches(a, b, generator) for _ in range(DRAWS))
            p, q = torch.softmax(a, -1), torch.softmax(b, -1)
            top += p.gather(-1, q.topk(MOST_CANDIDATES, -1).indices).cumsum(-1).sum(0).numpy()
            least += float(torch.minimum(p, q).sum())
        count = len(of_target)
        measured[f"temperature {temperature}"] = dict(
            shared_noise=(matched / (DRAWS * count)).round(3).tolist(), without_noise=(top / count).round(3).tolist(),
            sum_min=round(least / count, 3))
    return measured


def _logits(decoder: Decoder, windows: Tensor) -> Tensor:
    """Logits after at least 64 tokens of context: [num_windows * 256, vocab]."""
    return torch.cat([decoder.logits(rows)[:, CONTEXT - 1:-1].flatten(0, 1) for rows in windows.split(16)])


def _matches(of_target: Tensor, of_draft: Tensor, generator: torch.Generator) -> NDArray[np.float32]:
    """One noise per (position, token): positions whose target token is among the draft's best 1, 2, 3, 4."""
    noise = -torch.empty_like(of_target).exponential_(generator=generator).log()
    chosen = (of_target + noise).argmax(-1, keepdim=True)
    among = (of_draft + noise).topk(MOST_CANDIDATES, -1).indices == chosen
    counts: NDArray[np.float32] = among.float().cumsum(-1).sum(0).numpy()
    return counts
