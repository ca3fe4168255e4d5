"""Loss on a stream of text, for any model that maps ids to logits."""
from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..data import Ids, consecutive_windows

LogitsOf = Callable[[Tensor], Tensor]
"""ids [B, T] -> float32 logits [B, T, vocab]."""
TOKENS_PER_BATCH = 4096


@torch.no_grad()
def mean_loss(logits_of: LogitsOf, ids: Ids, window: int, max_windows: int | None = None) -> float:
    """Nats per token over consecutive windows, each read without the context before it."""
    inputs, labels = (torch.from_numpy(part[:max_windows]) for part in consecutive_windows(ids, window))
    rows = max(1, TOKENS_PER_BATCH // window)
    total = 0.0
    for x, y in zip(inputs.split(rows), labels.split(rows)):
        total += float(cross_entropy(logits_of(x).flatten(0, 1), y.reshape(-1), reduction="sum"))
    return total / labels.numel()
