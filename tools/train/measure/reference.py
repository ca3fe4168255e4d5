"""The forward pass once more, in plain numpy and by the book: what exported weights are checked against."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import Ids
from ..hf.folder import read_folder

Array = NDArray[np.float32]


class Reference:
    """A Llama decoder over an exported folder: one sequence, no cache, keys and values repeated per query head."""

    def __init__(self, folder: Path) -> None:
        self._config, weights = read_folder(folder)
        self._weights = {name: half.astype(np.float32) for name, half in weights.items()}

    def logits(self, ids: Ids) -> Array:
        """ids [T] -> [T, vocab]."""
        cos, sin = self._rotary(len(ids))
        x = self._weights["model.embed_tokens.weight"][ids]
        for layer in range(self._config["num_hidden_layers"]):
            x = x + self._attention(layer, self._norm(x, f"model.layers.{layer}.input_layernorm"), cos, sin)
            x = x + self._ffn(layer, self._norm(x, f"model.layers.{layer}.post_attention_layernorm"))
        logits: Array = self._norm(x, "model.norm") @ self._weights["model.embed_tokens.weight"].T
        return logits

    def _norm(self, x: Array, name: str) -> Array:
        mean_square = (x.astype(np.float64) ** 2).mean(-1, keepdims=True)
        unit = (x / np.sqrt(mean_square + self._config["rms_norm_eps"])).astype(np.float32)
        return self._weights[f"{name}.weight"] * unit

    def _rotary(self, length: int) -> tuple[Array, Array]:
        """cos and sin [T, D], the half tables side by side."""
        dim = self._config["head_dim"]
        frequencies = 1.0 / self._config["rope_theta"] ** (np.arange(0, dim, 2, dtype=np.float64) / dim)
        angles = np.tile(np.outer(np.arange(length), frequencies), 2)
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)

    def _attention(self, layer: int, x: Array, cos: Array, sin: Array) -> Array:
        length, dim = len(x), self._config["head_dim"]
        num_heads, num_kv_heads = self._config["num_attention_heads"], self._config["num_key_value_heads"]

        def heads(part: str, count: int) -> Array:
            projected: Array = x @ self._weights[f"model.layers.{layer}.self_attn.{part}_proj.weight"].T
            return projected.reshape(length, count, dim).transpose(1, 0, 2)

        def rotated(h: Array) -> Array:
            turned: Array = h * cos + np.concatenate([-h[..., dim // 2:], h[..., :dim // 2]], -1) * sin
            return turned

        repeats = num_heads // num_kv_heads
        queries = rotated(heads("q", num_heads))
        keys = np.repeat(rotated(heads("k", num_kv_heads)), repeats, 0)
        values = np.repeat(heads("v", num_kv_heads), repeats, 0)
        scores = queries @ keys.transpose(0, 2, 1) / np.sqrt(np.float32(dim))
        scores += np.triu(np.full((length, length), -1e30, np.float32), 1)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed: Array = (shares @ values).transpose(1, 0, 2).reshape(length, -1)
        return mixed @ self._weights[f"model.layers.{layer}.self_attn.o_proj.weight"].T

    def _ffn(self, layer: int, x: Array) -> Array:
        weight = {part: self._weights[f"model.layers.{layer}.mlp.{part}_proj.weight"] for part in ("gate", "up", "down")}
        gate = x @ weight["gate"].T
        gated: Array = gate / (1 + np.exp(-gate)) * (x @ weight["up"].T)
        return gated @ weight["down"].T


def greedy(reference: Reference, prompt: list[int], num_tokens: int) -> tuple[Array, list[int]]:
    """Logits [vocab] after the prompt, and the greedy continuation of `num_tokens` ids."""
    ids = list(prompt)
    first = reference.logits(np.array(ids))[-1]
    for _ in range(num_tokens):
        ids.append(int(reference.logits(np.array(ids))[-1].argmax()))
    return first, ids[len(prompt):]


def load_expected(folder: Path) -> dict[str, Any]:
    """reference.json of a folder."""
    expected: dict[str, Any] = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
    return expected
