"""A decoder with a KV cache over exported weights: sampling, timing, and batched logits."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import torch
from torch import Tensor
from torch.nn.functional import silu

from ..hf.folder import model_config, named_tensors, read_folder
from ..hf.safetensors import Half
from ..nn.model import Model, rotary_tables


@dataclass
class Cache:
    """Keys and values per layer, each [B*K, capacity, D]; the first `num_tokens` positions are valid."""

    keys: list[Tensor]
    values: list[Tensor]
    num_tokens: int = 0


@dataclass(frozen=True)
class Layer:
    """Weights of one layer; the norms stay float32."""

    attention_norm: Tensor
    qkv: Tensor
    attention_out: Tensor
    ffn_norm: Tensor
    gate_up: Tensor
    down: Tensor


class Decoder:
    """Computes in `dtype` with a float32 residual stream; with float32 it matches the numpy reference."""

    def __init__(self, config: Mapping[str, Any], halves: Mapping[str, Half], dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self._num_heads: int = config["num_attention_heads"]
        self._num_kv_heads: int = config["num_key_value_heads"]
        self._head_dim: int = config["head_dim"]
        self._epsilon: float = config["rms_norm_eps"]
        weights = {name: torch.from_numpy(half.astype("float32")) for name, half in halves.items()}
        self._embed = weights["model.embed_tokens.weight"]
        self._head = self._embed.to(dtype)
        self._norm_weight = weights["model.norm.weight"]
        self._layers = [self._layer(weights, f"model.layers.{i}") for i in range(config["num_hidden_layers"])]
        self._cos, self._sin = rotary_tables()

    @classmethod
    def open(cls, folder: Path) -> Decoder:
        """The model of an exported folder."""
        return cls(*read_folder(folder))

    @classmethod
    def of(cls, model: Model, dtype: torch.dtype) -> Decoder:
        """A model in training, rounded to float16 as its export would be."""
        return cls(model_config(model.shape), named_tensors(model), dtype)

    def _layer(self, weights: Mapping[str, Tensor], name: str) -> Layer:
        def stacked(*parts: str) -> Tensor:
            return torch.cat([weights[f"{name}.{part}_proj.weight"] for part in parts]).to(self.dtype)

        return Layer(
            attention_norm=weights[f"{name}.input_layernorm.weight"],
            qkv=stacked("self_attn.q", "self_attn.k", "self_attn.v"),
            attention_out=stacked("self_attn.o"),
            ffn_norm=weights[f"{name}.post_attention_layernorm.weight"],
            gate_up=stacked("mlp.gate", "mlp.up"),
            down=stacked("mlp.down"))

    def new_cache(self, num_rows: int, capacity: int) -> Cache:
        """An empty cache for `num_rows` sequences of up to `capacity` tokens."""
        size = (num_rows * self._num_kv_heads, capacity, self._head_dim)
        keys, values = ([torch.zeros(size, dtype=self.dtype) for _ in self._layers] for _ in range(2))
        return Cache(keys, values)

    def logits(self, ids: Tensor) -> Tensor:
        """ids [B, T], read from an empty cache -> float32 logits [B, T, vocab]."""
        return self.forward(ids, self.new_cache(*ids.shape))

    @torch.no_grad()
    def forward(self, ids: Tensor, cache: Cache) -> Tensor:
        """Appends ids [B, T] to the cache -> float32 logits [B, T, vocab] after each of them."""
        rows, length = ids.shape
        x = self._embed[ids.reshape(-1)]
        for index, layer in enumerate(self._layers):
            qkv = self._norm(x, layer.attention_norm) @ layer.qkv.t()
            mixed = self._attend(qkv.view(rows, length, -1, self._head_dim), cache, index)
            x = x + (mixed @ layer.attention_out.t()).float()
            gate, up = (self._norm(x, layer.ffn_norm) @ layer.gate_up.t()).chunk(2, -1)
            x = x + ((silu(gate) * up) @ layer.down.t()).float()
        cache.num_tokens += length
        return (self._norm(x, self._norm_weight) @ self._head.t()).float().view(rows, length, -1)

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self._epsilon) * weight).to(self.dtype)

    def _attend(self, qkv: Tensor, cache: Cache, layer: int) -> Tensor:
        """qkv [B, T, H+2K, D]: stores keys and values, returns attention's output [B*T, H*D]."""
        rows, length, _, dim = qkv.shape
        heads, kv, start = self._num_heads, self._num_kv_heads, cache.num_tokens
        end = start + length
        queries = self._rotated(qkv[:, :, :heads], start).transpose(1, 2).reshape(rows * kv, -1, dim)
        keys, values = cache.keys[layer], cache.values[layer]
        keys[:, start:end] = self._rotated(qkv[:, :, heads:heads + kv], start).transpose(1, 2).reshape(-1, length, dim)
        values[:, start:end] = qkv[:, :, heads + kv:].transpose(1, 2).reshape(-1, length, dim)
        scores = torch.bmm(queries, keys[:, :end].transpose(1, 2)).float() * dim ** -0.5
        if length > 1:
            future = torch.ones(length, end, dtype=torch.bool).triu(start + 1)
            scores.masked_fill_(future.repeat(heads // kv, 1), float("-inf"))
        mixed = torch.bmm(torch.softmax(scores, -1).to(self.dtype), values[:, :end])
        return mixed.view(rows, heads, length, dim).transpose(1, 2).reshape(rows * length, -1)

    def _rotated(self, heads: Tensor, start: int) -> Tensor:
        """heads [B, T, n, D], of which the first token has position `start`."""
        where = slice(start, start + heads.shape[1])
        cos, sin = self._cos[where][:, None], self._sin[where][:, None]
        first, second = heads.float().chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(self.dtype)

    def generate(self, prompt: Tensor, num_tokens: int, temperature: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """prompt [B, P] -> tokens [B, n], and the float16 log-probabilities at temperature 1 behind each [B, n, vocab].

        Temperature 0 is greedy. <|endoftext|> is a token like others: generation goes on.
        """
        rows, length = prompt.shape
        cache = self.new_cache(rows, length + num_tokens)
        last = self.forward(prompt, cache)[:, -1]
        tokens: list[Tensor] = []
        log_probs: list[Tensor] = []
        while True:
            log_probs.append(torch.log_softmax(last, -1).half())
            tokens.append(last.argmax(-1) if temperature == 0 else _sample(last / temperature, generator))
            if len(tokens) == num_tokens:
                return torch.stack(tokens, 1), torch.stack(log_probs, 1)
            last = self.forward(tokens[-1][:, None], cache)[:, -1]


def _sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(torch.softmax(logits, -1), 1, generator=generator)[:, 0]
