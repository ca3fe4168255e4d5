"""The training model: a Llama decoder over flat parameters, with checkpoints that hold shape, weights and progress."""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .operations import EmbeddingRows, RmsNorm, SplitRotary, SwiGlu
from .parameters import Parameters
from .shape import HEAD_DIM, MAX_POSITIONS, ROPE_THETA, Shape

DROPOUT_POOL_SIZE = 1 << 23


def rotary_tables() -> tuple[Tensor, Tensor]:
    """cos and sin of position * frequency, float32 [MAX_POSITIONS, D/2]."""
    frequencies = 1.0 / ROPE_THETA ** (torch.arange(0, HEAD_DIM, 2).float() / HEAD_DIM)
    angles = torch.arange(MAX_POSITIONS).float()[:, None] * frequencies
    return angles.cos(), angles.sin()


class Dropout:
    """Residual dropout whose masks are slices of one random pool: a draw costs one integer instead of one per element."""

    def __init__(self, ratio: float, seed: int, dtype: torch.dtype) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        kept = torch.rand(DROPOUT_POOL_SIZE, generator=self._generator) >= ratio
        self._pool = (kept.float() / (1 - ratio)).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        start = int(torch.randint(0, self._pool.numel() - x.numel(), (), generator=self._generator))
        return x * self._pool[start:start + x.numel()].view(x.shape)


class Model:
    """A decoder in training. `dtype` is the type of the matrix products: bfloat16, or float32 for exact checks."""

    def __init__(self, shape: Shape, seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> None:
        self.shape = shape
        self.dtype = dtype
        self.parameters = Parameters(shape, seed, dtype)
        self._anchor = torch.zeros((), requires_grad=True)
        self._cos, self._sin = rotary_tables()
        self._masks: dict[int, Tensor] = {}

    def forward(self, ids: Tensor, positions: Tensor | None = None, dropout: Dropout | None = None) -> Tensor:
        """ids and positions [B, T] (positions default to 0..T-1) -> logits [B*T, vocab] in the compute type."""
        rows, length = ids.shape
        leaves = self.parameters.leaves
        where: slice | Tensor = slice(0, length) if positions is None else positions
        cos, sin = (table[where].reshape(-1, 1, length, HEAD_DIM // 2).to(self.dtype) for table in (self._cos, self._sin))
        table = self.parameters.weights["embed"]
        x = EmbeddingRows.apply(self._anchor, table, self.parameters.embed_gradient, ids.reshape(-1))
        for layer in range(self.shape.num_layers):
            normed = RmsNorm.apply(x, leaves[f"{layer}.attention_norm"])
            mixed = self._attend((normed @ leaves[f"{layer}.qkv"].t()).view(rows, length, -1), cos, sin)
            out = mixed @ leaves[f"{layer}.attention_out"].t()
            x = x + (dropout(out) if dropout else out)
            normed = RmsNorm.apply(x, leaves[f"{layer}.ffn_norm"])
            out = SwiGlu.apply(normed @ leaves[f"{layer}.gate_up"].t()) @ leaves[f"{layer}.down"].t()
            x = x + (dropout(out) if dropout else out)
        normed = RmsNorm.apply(x, leaves["norm"])
        return torch.matmul(normed, leaves["embed"].t())

    @torch.no_grad()
    def logits(self, ids: Tensor) -> Tensor:
        """ids [B, T] -> float32 logits [B, T, vocab], without a graph."""
        return self.forward(ids).float().view(*ids.shape, -1)

    def _attend(self, qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """qkv [B, T, (H+2K)*D] -> causal attention's output [B*T, H*D]."""
        rows, length, _ = qkv.shape
        queries, keys, values = SplitRotary.apply(qkv, cos, sin, self.shape.num_kv_heads)
        scores = torch.baddbmm(self._mask(length), queries, keys.transpose(1, 2))
        mixed = torch.bmm(torch.softmax(scores, -1), values)
        return mixed.view(rows, self.shape.num_heads, length, HEAD_DIM).transpose(1, 2).reshape(rows * length, -1)

    def _mask(self, length: int) -> Tensor:
        """[1, (H/K)*T, T]: zero on and below the diagonal, minus infinity above; kept per length."""
        if length not in self._masks:
            mask = torch.full((length, length), float("-inf")).triu(1).to(self.dtype)
            self._masks[length] = mask.repeat(self.shape.num_heads // self.shape.num_kv_heads, 1)[None]
        return self._masks[length]

    def save(self, path: Path, **progress: Any) -> None:
        """Writes weights, shape and `progress` (loss, step, tokens seen)."""
        torch.save(dict(shape=asdict(self.shape), weights=self.parameters.master, progress=progress), path)


def load_model(path: Path, dtype: torch.dtype = torch.bfloat16) -> tuple[Model, dict[str, Any]]:
    """The model of a checkpoint, and the progress noted with it."""
    saved = torch.load(path)
    model = Model(Shape(**saved["shape"]), dtype=dtype)
    model.parameters.master.copy_(saved["weights"])
    model.parameters.publish()
    return model, saved["progress"]
