"""Writes the trained pair as model folders, and proves each against two independent forward passes."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import numpy as np
import torch

from .data import Ids
from .hf.folder import generation_config, model_config, named_tensors, tokenizer_config, write_json
from .hf.safetensors import write_safetensors
from .measure.decoder import Decoder
from .measure.reference import Reference, greedy
from .nn.model import Model, load_model
from .tokenizer import Tokenizer

REFERENCE_PROMPT = "ROMEO:\nWhat say you to my suit?\n\nJULIET:\n"
REFERENCE_TOKENS = 32
REFERENCE_TOP = 8
CHECKED_TOKENS = 300


def export_model(checkpoint: Path, tokenizer: Path, folder: Path) -> Model:
    """Writes the folder of one checkpoint; returns its model with float32 products, for `check_export`."""
    model, progress = load_model(checkpoint, torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", named_tensors(model))
    write_json(folder / "config.json", model_config(model.shape))
    write_json(folder / "generation_config.json", generation_config())
    write_json(folder / "tokenizer_config.json", tokenizer_config())
    copyfile(tokenizer, folder / "tokenizer.json")
    write_reference(folder, Tokenizer(tokenizer))
    print(f"{folder.name}: {model.shape.num_parameters:,} parameters, {progress}", flush=True)
    return model


def write_reference(folder: Path, tokenizer: Tokenizer) -> None:
    """Writes reference.json: a prompt, the numpy pass's best next tokens with logits, and its greedy continuation."""
    prompt = tokenizer.encode(REFERENCE_PROMPT)
    logits, continuation = greedy(Reference(folder), prompt, REFERENCE_TOKENS)
    top = np.argsort(-logits)[:REFERENCE_TOP].tolist()
    write_json(folder / "reference.json", dict(
        text=REFERENCE_PROMPT, prompt_ids=prompt, next_top_ids=top,
        next_top_logits=[round(float(logits[index]), 4) for index in top], greedy_ids=continuation,
        greedy_text=tokenizer.decode(continuation)))


@dataclass(frozen=True)
class Agreement:
    """Largest logit differences on the same tokens, beside the logits' own spread."""

    logits_std: float
    rounding: float
    """Exported float16 weights in numpy against the float32 weights of training."""
    top1_ratio: float
    """How often those two put the same token first."""
    cached: float
    """The KV-cached pass, fed in three parts, against numpy; same weights."""

    def __str__(self) -> str:
        return (f"logits' std {self.logits_std:.2f}, float16 export against training {self.rounding:.4f}, "
                f"same top token {self.top1_ratio:.4f}, KV-cached pass against numpy {self.cached:.6f}")


def check_export(folder: Path, model: Model, ids: Ids) -> Agreement:
    """Compares the folder's weights with the model they came from, on the first 300 of `ids`."""
    ids = ids[:CHECKED_TOKENS]
    expected = Reference(folder).logits(ids)
    row = torch.from_numpy(ids)[None]
    trained = model.logits(row)[0].numpy()
    decoder = Decoder.open(folder)
    cache = decoder.new_cache(1, len(ids))
    parts = row.split([len(ids) // 2, 1, len(ids) - len(ids) // 2 - 1], 1)
    cached = torch.cat([decoder.forward(part, cache) for part in parts], 1)[0].numpy()
    return Agreement(
        logits_std=float(expected.std()),
        rounding=float(np.abs(expected - trained).max()),
        top1_ratio=float((expected.argmax(-1) == trained.argmax(-1)).mean()),
        cached=float(np.abs(expected - cached).max()))
