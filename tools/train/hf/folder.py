"""What a model folder holds: weights under Hugging Face's Llama names, config.json and its companions."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..nn.model import Model
from ..nn.shape import HEAD_DIM, MAX_POSITIONS, NORM_EPSILON, ROPE_THETA, Shape
from ..tokenizer import END_OF_TEXT, SPECIAL_TOKENS, VOCAB_SIZE
from .safetensors import Half, read_safetensors

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|endoftext|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def _named_views(model: Model) -> dict[str, Tensor]:
    """Views of the master weights, unstacked, under their Hugging Face names. Tied embeddings: there is no lm_head."""
    weights, shape = model.parameters.weights, model.shape
    query_rows, kv_rows = shape.num_heads * HEAD_DIM, shape.num_kv_heads * HEAD_DIM
    named: dict[str, Tensor] = {"model.embed_tokens.weight": weights["embed"]}
    for layer in range(shape.num_layers):
        query, key, value = weights[f"{layer}.qkv"].split([query_rows, kv_rows, kv_rows])
        gate, up = weights[f"{layer}.gate_up"].chunk(2)
        parts = {
            "input_layernorm": weights[f"{layer}.attention_norm"],
            "self_attn.q_proj": query,
            "self_attn.k_proj": key,
            "self_attn.v_proj": value,
            "self_attn.o_proj": weights[f"{layer}.attention_out"],
            "post_attention_layernorm": weights[f"{layer}.ffn_norm"],
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": weights[f"{layer}.down"],
        }
        named.update({f"model.layers.{layer}.{part}.weight": tensor for part, tensor in parts.items()})
    named["model.norm.weight"] = weights["norm"]
    return named


def named_tensors(model: Model) -> dict[str, Half]:
    """The weights as float16 under their Hugging Face names. Raises ValueError when one does not fit float16."""
    named = _named_views(model)
    halves = {name: tensor.numpy().astype(np.float16) for name, tensor in named.items()}
    for name, half in halves.items():
        if not np.isfinite(half).all():
            raise ValueError(f"{name} does not fit float16")
    return halves


def model_config(shape: Shape) -> dict[str, Any]:
    """config.json."""
    return dict(
        architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=VOCAB_SIZE, hidden_size=shape.hidden_size,
        intermediate_size=shape.ffn_size, num_hidden_layers=shape.num_layers, num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads, head_dim=HEAD_DIM, hidden_act="silu",
        max_position_embeddings=MAX_POSITIONS, rms_norm_eps=NORM_EPSILON, rope_theta=ROPE_THETA, rope_scaling=None,
        attention_bias=False, mlp_bias=False, attention_dropout=0.0, tie_word_embeddings=True, initializer_range=0.02,
        use_cache=True, pretraining_tp=1, bos_token_id=END_OF_TEXT, eos_token_id=END_OF_TEXT, torch_dtype="float16")


def generation_config() -> dict[str, Any]:
    """generation_config.json: sampling at temperature 1 by default."""
    return dict(bos_token_id=END_OF_TEXT, eos_token_id=END_OF_TEXT, pad_token_id=END_OF_TEXT, do_sample=True,
                temperature=1.0)


def tokenizer_config() -> dict[str, Any]:
    """tokenizer_config.json, chat template included. <|endoftext|> begins nothing, ends turns, and pads."""
    flags = dict(lstrip=False, normalized=False, rstrip=False, single_word=False, special=True)
    end_of_text = SPECIAL_TOKENS[END_OF_TEXT]
    return dict(
        tokenizer_class="PreTrainedTokenizerFast", model_max_length=MAX_POSITIONS, add_bos_token=False,
        add_eos_token=False, add_prefix_space=False, clean_up_tokenization_spaces=False, bos_token=end_of_text,
        eos_token=end_of_text, pad_token=end_of_text, unk_token=None,
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        added_tokens_decoder={str(index): dict(content=token, **flags) for index, token in enumerate(SPECIAL_TOKENS)},
        chat_template=CHAT_TEMPLATE)


def write_json(path: Path, value: Any) -> None:
    """Indented JSON with a final line break."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Half]]:
    """config.json and the weights of an exported folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config, read_safetensors(folder / "model.safetensors")


def model_of(folder: Path) -> Model:
    """A model in training with the weights of an exported folder, in bfloat16."""
    config, halves = read_folder(folder)
    model = Model(Shape(config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"],
                        config["num_key_value_heads"], config["intermediate_size"]))
    for name, view in _named_views(model).items():
        view.copy_(torch.from_numpy(halves[name].astype(np.float32)))
    model.parameters.publish()
    return model
