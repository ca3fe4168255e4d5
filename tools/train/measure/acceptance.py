"""How many draft tokens a target accepts, from one trajectory of the target per prompt.

On the accepted path the draft's context is the target's own text, so the draft can be run over a finished trajectory
at once, and the walk over it has the distribution of speculative decoding itself. (`speculate` is the slow proof.)
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data import Ids
from .decoder import Decoder

NUM_PROMPTS, PROMPT_TOKENS, NEW_TOKENS = 64, 64, 160
ACCEPTANCE_DRAWS = 20
CONFIDENCE_EDGES = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.001)
FEWEST_IN_BIN = 10

Hits = NDArray[np.bool_]
"""[R, n]: would the draft's token at this place be accepted."""


def heldout_prompts(heldout: Ids) -> Tensor:
    """64 prompts of 64 tokens, evenly spread over the held-out text: [64, 64]."""
    starts = np.linspace(0, len(heldout) - PROMPT_TOKENS - 1, NUM_PROMPTS).astype(int)
    return torch.from_numpy(np.stack([heldout[start:start + PROMPT_TOKENS] for start in starts]))


@dataclass(frozen=True)
class Trajectory:
    """What the target wrote after each prompt, and both models' probabilities (temperature 1) at every new token."""

    temperature: float
    prompts: Tensor
    """[R, P]"""
    tokens: Tensor
    """[R, n]"""
    p: Tensor
    """The target's, float32 [R, n, vocab]."""
    q: Tensor
    """The draft's, float32 [R, n, vocab]."""


def write_trajectory(target: Decoder, draft: Decoder, prompts: Tensor, temperature: float) -> Trajectory:
    """Lets the target continue every prompt by 160 tokens, greedily at temperature 0."""
    tokens, log_p = target.generate(prompts, NEW_TOKENS, temperature, torch.Generator().manual_seed(4))
    read = torch.cat([prompts, tokens[:, :-1]], 1)
    q = torch.softmax(draft.logits(read)[:, prompts.shape[1] - 1:], -1)
    return Trajectory(temperature, prompts, tokens, log_p.float().exp(), q)


def greedy_draft_hits(trajectory: Trajectory) -> Hits:
    """The draft proposes its most likely token."""
    hits: Hits = (trajectory.q.argmax(-1) == trajectory.tokens).numpy()
    return hits


def sampled_draft_hits(trajectory: Trajectory) -> Hits:
    """The draft samples: given the target's token x ~ p it was accepted with probability min(1, q(x) / p(x)).

    20 independent draws per place, as further rows.
    """
    at = trajectory.tokens[..., None]
    ratio = (trajectory.q.gather(-1, at) / trajectory.p.gather(-1, at))[..., 0].numpy()
    rng = np.random.default_rng(3)
    return np.concatenate([rng.random(ratio.shape) < np.minimum(1, ratio) for _ in range(ACCEPTANCE_DRAWS)])


@dataclass(frozen=True)
class Walk:
    """Counts of speculation steps: how often draft position j was reached and accepted, arrays of the chain's length."""

    reached: NDArray[np.float64]
    accepted: NDArray[np.float64]
    num_steps: int

    @property
    def accepted_per_step(self) -> float:
        """Mean accepted draft tokens; a step emits one more."""
        return float(self.accepted.sum()) / max(1, self.num_steps)

    def positions(self) -> dict[str, list[float]]:
        """Acceptance by position: given that it was reached, and at all."""
        return dict(
            conditional=(self.accepted / np.maximum(1, self.reached)).round(3).tolist(),
            cumulative=(self.accepted / max(1, self.num_steps)).round(3).tolist())


def walk(hits: Hits, length: int) -> Walk:
    """Chains of `length` tokens along each row: a step ends at its first miss, or after the chain, plus one token.

    Steps that begin within `length` tokens of the row's end are left out, for they could not run to their full length.
    """
    reached, accepted, num_steps = np.zeros(length), np.zeros(length), 0
    for row in hits:
        start = 0
        while start + length < len(row):
            chain = row[start:start + length]
            taken = length if chain.all() else int(chain.argmin())
            accepted[:taken] += 1
            reached[:taken + 1] += 1
            start += taken + 1
            num_steps += 1
    return Walk(reached, accepted, num_steps)


def calibration(trajectory: Trajectory) -> list[dict[str, float]]:
    """The draft's probability of its own token, in bins, against how often the target accepts that token.

    At temperature 0 the token is the draft's best; else one sample of q, accepted with min(1, p / q).
    """
    q, p = trajectory.q.flatten(0, 1), trajectory.p.flatten(0, 1)
    if trajectory.temperature == 0:
        confidence = q.max(-1).values.numpy()
        accepted = greedy_draft_hits(trajectory).reshape(-1).astype(np.float64)
    else:
        token = torch.multinomial(q, 1, generator=torch.Generator().manual_seed(6))
        confidence = q.gather(1, token)[:, 0].numpy()
        accepted = np.minimum(1, p.gather(1, token)[:, 0].numpy() / confidence)
    bins = np.digitize(confidence, CONFIDENCE_EDGES) - 1
    rows = []
    for index, (low, high) in enumerate(zip(CONFIDENCE_EDGES, CONFIDENCE_EDGES[1:])):
        inside = bins == index
        if inside.sum() >= FEWEST_IN_BIN:
            rows.append(dict(from_p=low, to_p=min(1.0, high), share_ratio=round(float(inside.mean()), 3),
                             accepted_ratio=round(float(accepted[inside].mean()), 3)))
    return rows
