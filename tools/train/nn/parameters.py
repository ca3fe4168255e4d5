"""All weights of a model in one buffer, so that the optimizer is a handful of whole-buffer operations.

Invariants:
1. `master` (float32) is the truth; `leaves` are views of its copy in the compute type, current after `publish`.
2. The gradient of leaf p is a view of `gradient` at p's own offset, so autograd accumulates straight into the buffer.
3. The embedding's input side adds to `embed_gradient` in float32 instead (see EmbeddingRows).
"""
from __future__ import annotations

from math import prod, sqrt
from typing import Iterator

import torch
from torch import Tensor

from ..tokenizer import VOCAB_SIZE
from .shape import Shape

EMBED_STD = 0.02


class Parameters:
    """Weights drawn from `seed`: normal, variance 1/fan-in, embeddings 0.02, norms one; layer outputs scaled down by depth."""

    def __init__(self, shape: Shape, seed: int, dtype: torch.dtype) -> None:
        self.shape = shape
        size = shape.num_parameters
        self.master = torch.empty(size)
        self.published = torch.empty(size, dtype=dtype)
        self.gradient = torch.zeros(size, dtype=dtype)
        self.embed_gradient = torch.zeros(VOCAB_SIZE, shape.hidden_size)
        self.decay = torch.zeros(size)
        """1 where weight decay applies: the matrices without the embedding."""
        self.weights: dict[str, Tensor] = {}
        self.leaves: dict[str, Tensor] = {}
        generator = torch.Generator().manual_seed(seed)
        for name, tensor_shape, place in self._places():
            weight = self.weights[name] = self.master[place].view(tensor_shape)
            self._initialise(name, weight, generator)
            if weight.dim() > 1 and name != "embed":
                self.decay[place] = 1.0
            leaf = self.leaves[name] = self.published[place].view(tensor_shape).detach().requires_grad_(True)
            leaf.grad = self.gradient[place].view(tensor_shape)
        self.publish()

    def _places(self) -> Iterator[tuple[str, tuple[int, ...], slice]]:
        """Name, shape and range in the buffer of every weight."""
        start = 0
        for name, tensor_shape in self.shape.tensors():
            end = start + prod(tensor_shape)
            yield name, tensor_shape, slice(start, end)
            start = end

    def _initialise(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        if weight.dim() == 1:
            weight.fill_(1.0)
            return
        std = EMBED_STD if name == "embed" else weight.shape[1] ** -0.5
        if name.endswith((".attention_out", ".down")):
            std /= sqrt(2 * self.shape.num_layers)
        weight.normal_(0, std, generator=generator)

    @torch.no_grad()
    def publish(self) -> None:
        """Copies the master weights to the leaves."""
        self.published.copy_(self.master)

    def total_gradient(self) -> Tensor:
        """float32 [num_parameters], a fresh buffer. The embedding comes first, so its other half is added at the front."""
        total = self.gradient.float() if self.gradient.dtype != torch.float32 else self.gradient.clone()
        total[:self.embed_gradient.numel()] += self.embed_gradient.view(-1)
        return total

    def clear_gradient(self) -> None:
        """Zeroes both gradient buffers."""
        self.gradient.zero_()
        self.embed_gradient.zero_()
