"""Four differentiable operations with hand-written backward passes: fewer passes over memory than autograd's own.

Shapes: B rows, T positions, N = B * T, C hidden, H query heads, K key/value heads, D = 64. Matrix inputs are in the
compute type (bfloat16 or float32); the residual stream and all statistics are float32.
"""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .shape import HEAD_DIM, NORM_EPSILON

SCALE = HEAD_DIM ** -0.5


class RmsNorm(Function):
    """x [N, C] float32, weight [C] -> x / rms(x) * weight, in the weight's type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        inverse_rms = torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON)
        unit = x * inverse_rms
        ctx.save_for_backward(unit, inverse_rms, weight)
        return (unit * weight).to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        unit, inverse_rms, weight = ctx.saved_tensors
        grad = grad.float()
        grad_weight = (grad * unit).sum(0).to(weight.dtype)
        grad = grad * weight.float()
        along_unit = (grad * unit).mean(-1, keepdim=True)
        return grad.addcmul_(unit, along_unit, value=-1).mul_(inverse_rms), grad_weight


class SwiGlu(Function):
    """gate|up [N, 2F] -> silu(gate) * up [N, F]."""

    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, -1)
        sigmoid = torch.sigmoid(gate)
        silu = sigmoid * gate
        ctx.save_for_backward(gate_up, sigmoid, silu)
        return silu * up

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        gate_up, sigmoid, silu = ctx.saved_tensors
        up = gate_up.chunk(2, -1)[1]
        grad_gate_up = torch.empty_like(gate_up)
        grad_gate, grad_up = grad_gate_up.chunk(2, -1)
        torch.mul(grad, silu, out=grad_up)
        silu_slope = torch.addcmul(sigmoid, silu, 1 - sigmoid)
        torch.mul(grad, up, out=grad_gate)
        grad_gate.mul_(silu_slope)
        return grad_gate_up


def _rotate(x: Tensor, cos: Tensor, sin: Tensor, out: Tensor) -> None:
    """Writes the rotation of x [..., T, D] to `out`; dimension i is paired with i + D/2, as in Hugging Face's Llama."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    torch.mul(first, cos, out=out[..., :half])
    out[..., :half].addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out[..., half:])
    out[..., half:].addcmul_(first, sin)


class SplitRotary(Function):
    """q|k|v [B, T, (H+2K)*D] -> q [B*K, (H/K)*T, D], scaled by 1/8, k and v [B*K, T, D]; q and k are rotated.

    `cos`, `sin`: [B or 1, 1, T, D/2]. Heads that share keys lie below each other, so attention is one batched product.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, num_kv_heads: int) -> tuple[Tensor, Tensor, Tensor]:
        rows, length, width = qkv.shape
        kv = num_kv_heads
        heads = width // HEAD_DIM - 2 * kv
        split = qkv.view(rows, length, heads + 2 * kv, HEAD_DIM).transpose(1, 2)
        queries = qkv.new_empty(rows, heads, length, HEAD_DIM)
        keys = qkv.new_empty(rows, kv, length, HEAD_DIM)
        _rotate(split[:, :heads], cos, sin, queries)
        queries.mul_(SCALE)
        _rotate(split[:, heads:heads + kv], cos, sin, keys)
        values = split[:, heads + kv:].contiguous()
        ctx.save_for_backward(cos, sin)
        ctx.sizes = (rows, length, heads, kv)
        flat = (rows * kv, -1, HEAD_DIM)
        return queries.view(flat), keys.view(flat), values.view(flat)

    @staticmethod
    def backward(ctx: Any, grad_q: Tensor, grad_k: Tensor, grad_v: Tensor) -> tuple[Tensor, None, None, None]:
        cos, sin = ctx.saved_tensors
        rows, length, heads, kv = ctx.sizes
        grad = grad_q.new_empty(rows, length, heads + 2 * kv, HEAD_DIM)
        split = grad.transpose(1, 2)
        _rotate((grad_q * SCALE).view(rows, heads, length, HEAD_DIM), cos, -sin, split[:, :heads])
        _rotate(grad_k.reshape(rows, kv, length, HEAD_DIM), cos, -sin, split[:, heads:heads + kv])
        split[:, heads + kv:] = grad_v.reshape(rows, kv, length, HEAD_DIM)
        return grad.view(rows, length, -1), None, None, None


class EmbeddingRows(Function):
    """ids [N] -> rows of the float32 table [V, C]; the gradient is summed in float32 into `table_grad` in place.

    `anchor` is a scalar that requires a gradient: it makes autograd call the backward pass, and receives zero.
    """

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, table: Tensor, table_grad: Tensor, ids: Tensor) -> Tensor:
        ctx.ids, ctx.table_grad = ids, table_grad
        return table[ids]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        ctx.table_grad.index_add_(0, ctx.ids, grad)
        return torch.zeros(()), None, None, None
