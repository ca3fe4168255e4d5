"""Reads and writes .safetensors files that hold float16 tensors only.

Layout: u64 little-endian header length; JSON header with dtype, shape and byte range per tensor, padded to 8; the data.
"""
from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, Mapping

import numpy as np
from numpy.typing import NDArray

Half = NDArray[np.float16]


def write_safetensors(path: Path, tensors: Mapping[str, Half]) -> None:
    """Writes the tensors in the order of the mapping, without gaps."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors.items():
        header[name] = dict(dtype="F16", shape=list(tensor.shape), data_offsets=[offset, offset + tensor.nbytes])
        offset += tensor.nbytes
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor).tobytes())


def read_safetensors(path: Path) -> dict[str, Half]:
    """All tensors by name. Raises ValueError for any type but F16."""
    data = path.read_bytes()
    header_end = 8 + struct.unpack("<Q", data[:8])[0]
    header: dict[str, Any] = json.loads(data[8:header_end])
    header.pop("__metadata__", None)
    tensors: dict[str, Half] = {}
    for name, entry in header.items():
        if entry["dtype"] != "F16":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, expected F16")
        start, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[header_end + start:header_end + end], np.float16).reshape(entry["shape"])
    return tensors
