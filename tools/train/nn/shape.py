"""The two architectures. Both are Llama decoders with tied embeddings, heads of 64 and rotary base 10,000."""
from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..tokenizer import VOCAB_SIZE

HEAD_DIM = 64
MAX_POSITIONS = 2048
NORM_EPSILON = 1e-5
ROPE_THETA = 10000.0


@dataclass(frozen=True)
class Shape:
    """Widths of one decoder. `num_heads` is a multiple of `num_kv_heads` (grouped-query attention)."""

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    ffn_size: int

    def tensors(self) -> list[tuple[str, tuple[int, ...]]]:
        """Every weight with its shape, in storage order. Matrices are [out, in]; q|k|v and gate|up are stacked."""
        hidden, attention = self.hidden_size, self.num_heads * HEAD_DIM
        listed: list[tuple[str, tuple[int, ...]]] = [("embed", (VOCAB_SIZE, hidden))]
        for layer in range(self.num_layers):
            listed += [
                (f"{layer}.attention_norm", (hidden,)),
                (f"{layer}.qkv", (attention + 2 * self.num_kv_heads * HEAD_DIM, hidden)),
                (f"{layer}.attention_out", (hidden, attention)),
                (f"{layer}.ffn_norm", (hidden,)),
                (f"{layer}.gate_up", (2 * self.ffn_size, hidden)),
                (f"{layer}.down", (hidden, self.ffn_size)),
            ]
        return [*listed, ("norm", (hidden,))]

    @property
    def num_parameters(self) -> int:
        """Weights in all; the embedding also serves as the output layer and counts once."""
        return sum(prod(shape) for _, shape in self.tensors())


TARGET = Shape(hidden_size=384, num_layers=8, num_heads=6, num_kv_heads=2, ffn_size=1024)
DRAFT = Shape(hidden_size=128, num_layers=2, num_heads=2, num_kv_heads=1, ffn_size=384)
