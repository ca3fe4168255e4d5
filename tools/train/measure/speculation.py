"""Plain speculative decoding, one sequence at a time (Leviathan et al., ICML'23, algorithm 1): slow, and beyond doubt."""
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .decoder import Cache, Decoder


@dataclass(frozen=True)
class Decoded:
    """Prompt and written tokens, at least as many as asked for, and the speculation steps they took."""

    ids: list[int]
    num_steps: int


class Speculation:
    """Decodes one prompt with chains of `length` draft tokens; temperature 0 is greedy.

    Invariant: a model's cache holds exactly the first `num_tokens` of `ids`, whatever was proposed and refused.
    """

    def __init__(self, target: Decoder, draft: Decoder, length: int, temperature: float) -> None:
        self._target, self._draft = target, draft
        self._length, self._temperature = length, temperature

    def accepted_per_step(self, prompts: Tensor, num_tokens: int) -> float:
        """Mean accepted draft tokens for the prompts [R, P], each continued by at least `num_tokens`; prompt i has seed i."""
        steps_per_token = 0.0
        for seed, prompt in enumerate(prompts.tolist()):
            decoded = self.decode(prompt, num_tokens, torch.Generator().manual_seed(seed))
            # Every prompt weighs the same, however far its last step overshot.
            steps_per_token += decoded.num_steps / (len(decoded.ids) - len(prompt))
        return len(prompts) / steps_per_token - 1

    def decode(self, prompt: list[int], num_tokens: int, generator: torch.Generator) -> Decoded:
        """Continues one prompt until `num_tokens` are written; the last step may overshoot."""
        ids = list(prompt)
        capacity = len(ids) + num_tokens + self._length + 2
        of_target, of_draft = self._target.new_cache(1, capacity), self._draft.new_cache(1, capacity)
        num_steps = 0
        while len(ids) - len(prompt) < num_tokens:
            proposed, q = self._propose(ids, of_draft, generator)
            first = len(ids) - 1 - of_target.num_tokens
            p = self._read(self._target, of_target, ids + proposed)[first:]
            kept = 0
            while kept < self._length and self._accepts(p[kept], q[kept], proposed[kept], generator):
                kept += 1
            rest = p[kept] if kept == self._length else (p[kept] - q[kept]).clamp_min(0)
            ids += [*proposed[:kept], _draw(rest / rest.sum(), generator)]
            of_target.num_tokens = len(ids) - 1
            of_draft.num_tokens = min(len(ids) - 1, of_draft.num_tokens)
            num_steps += 1
        return Decoded(ids, num_steps)

    def _propose(self, ids: list[int], cache: Cache, generator: torch.Generator) -> tuple[list[int], list[Tensor]]:
        """The draft's chain, and the distribution behind each of its tokens."""
        proposed: list[int] = []
        distributions: list[Tensor] = []
        for _ in range(self._length):
            distributions.append(self._read(self._draft, cache, ids + proposed)[-1])
            proposed.append(_draw(distributions[-1], generator))
        return proposed, distributions

    def _read(self, decoder: Decoder, cache: Cache, ids: list[int]) -> Tensor:
        """Distributions [T, vocab] after each of the ids that the cache does not hold yet."""
        logits = decoder.forward(torch.tensor([ids[cache.num_tokens:]]), cache)[0]
        if self._temperature == 0:
            return torch.eye(logits.shape[-1])[logits.argmax(-1)]
        return torch.softmax(logits / self._temperature, -1)

    @staticmethod
    def _accepts(p: Tensor, q: Tensor, token: int, generator: torch.Generator) -> bool:
        return float(torch.rand((), generator=generator)) < float(p[token] / q[token])


def _draw(distribution: Tensor, generator: torch.Generator) -> int:
    return int(torch.multinomial(distribution, 1, generator=generator))
