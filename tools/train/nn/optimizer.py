"""AdamW over flat parameters, and the learning-rate schedule."""
from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .parameters import Parameters

EPSILON = 1e-8


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up times a cosine from `peak` to `floor_ratio * peak` over `num_steps`."""

    peak: float
    num_steps: int
    warmup_steps: int = 50
    floor_ratio: float = 0.04

    def rate(self, step: int) -> float:
        """Learning rate of step 0, 1, ..."""
        warmup = min(1.0, (step + 1) / self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.num_steps)))
        return self.peak * warmup * (self.floor_ratio + (1 - self.floor_ratio) * cosine)


@dataclass(frozen=True)
class AdamSettings:
    """Decay rates of the two moments, decoupled weight decay, and the gradient norm above which it is scaled down."""

    beta1: float = 0.9
    beta2: float = 0.97
    weight_decay: float = 0.1
    clip_norm: float = 1.0


class AdamW:
    """AdamW with the bias corrections of the paper (Loshchilov & Hutter, ICLR'19); its state is float32."""

    def __init__(self, parameters: Parameters, settings: AdamSettings) -> None:
        self._parameters = parameters
        self._settings = settings
        self._num_steps = 0
        self._mean = torch.zeros_like(parameters.master)
        self._square = torch.zeros_like(parameters.master)

    @torch.no_grad()
    def step(self, rate: float) -> float:
        """Applies and clears the gradient; returns its norm before clipping."""
        parameters, settings = self._parameters, self._settings
        gradient = parameters.total_gradient()
        norm = float(gradient.norm())
        if norm > settings.clip_norm:
            gradient.mul_(settings.clip_norm / norm)
        self._num_steps += 1
        self._mean.lerp_(gradient, 1 - settings.beta1)
        self._square.mul_(settings.beta2).addcmul_(gradient, gradient, value=1 - settings.beta2)
        master = parameters.master
        master.addcmul_(master, parameters.decay, value=-rate * settings.weight_decay)
        deviation = self._square.sqrt().div_(math.sqrt(1 - settings.beta2 ** self._num_steps)).add_(EPSILON)
        master.addcdiv_(self._mean, deviation, value=-rate / (1 - settings.beta1 ** self._num_steps))
        parameters.publish()
        parameters.clear_gradient()
        return norm
