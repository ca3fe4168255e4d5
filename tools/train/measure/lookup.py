"""Prompt lookup: the proposer that needs no draft. What followed the last n tokens before is proposed again."""
from __future__ import annotations

from typing import Iterable

from torch import Tensor


def propose(ids: list[int], longest: int, shortest: int, limit: int) -> list[int]:
    """Up to `limit` tokens that followed the latest earlier occurrence of the last n ids, the largest n that occurs."""
    end = len(ids)
    for n in range(longest, shortest - 1, -1):
        tail = ids[end - n:]
        for start in range(end - n - 1, -1, -1):
            if ids[start:start + n] == tail:
                return ids[start + n:min(start + n + limit, end)]
    return []


def _common_prefix(first: Iterable[int], second: Iterable[int]) -> int:
    count = 0
    for a, b in zip(first, second):
        if a != b:
            break
        count += 1
    return count


def measure_lookup(prompts: Tensor, tokens: Tensor, limit: int, shortest: int) -> dict[str, float]:
    """Walks over finished trajectories [R, P] and [R, n], matching the last 3 down to `shortest` tokens."""
    num_steps = num_tokens = num_proposals = 0
    for prompt, written in zip(prompts.tolist(), tokens.tolist()):
        ids, at = prompt + written, len(prompt)
        while at + limit < len(ids):
            proposal = propose(ids[:at], 3, shortest, limit)
            taken = _common_prefix(proposal, ids[at:])
            num_proposals += bool(proposal)
            num_steps += 1
            num_tokens += taken + 1
            at += taken + 1
    return dict(
        tokens_per_step=round(num_tokens / num_steps, 2),
        proposal_ratio=round(num_proposals / num_steps, 2),
        accepted_per_proposal=round((num_tokens - num_steps) / max(1, num_proposals), 2))
