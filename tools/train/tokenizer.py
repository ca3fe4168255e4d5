"""Byte-level BPE: learns merges, encodes, decodes, and reads and writes Hugging Face's tokenizer.json.

The pre-tokenizer is GPT-2's pattern with its letter and number classes spelled out for ASCII, which is all the corpus
holds. Other text still round-trips as bytes, but a full Unicode pre-tokenizer may cut it at other places.
"""
from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Iterable, Sequence

SPECIAL_TOKENS = ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>")
END_OF_TEXT, USER, ASSISTANT, SYSTEM = range(len(SPECIAL_TOKENS))
VOCAB_SIZE = 1024
PRETOKEN = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")

Pair = tuple[str, str]


def _byte_characters() -> dict[int, str]:
    """GPT-2's reversible alphabet: printable bytes stand for themselves, the others take characters from 256 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = (chr(code) for code in range(256, 512))
    return {byte: chr(byte) if byte in printable else next(spare) for byte in range(256)}


BYTE_CHARACTERS = _byte_characters()
CHARACTER_BYTES = {character: byte for byte, character in BYTE_CHARACTERS.items()}


def _spell(pretoken: str) -> list[str]:
    """The pre-token's UTF-8 bytes in the reversible alphabet."""
    return [BYTE_CHARACTERS[byte] for byte in pretoken.encode()]


def _join(symbols: Sequence[str], pair: Pair) -> list[str]:
    """Replaces every occurrence of `pair`, left to right, by the joined symbol."""
    joined: list[str] = []
    at = 0
    while at < len(symbols):
        found = symbols[at] == pair[0] and at + 1 < len(symbols) and symbols[at + 1] == pair[1]
        joined.append(pair[0] + pair[1] if found else symbols[at])
        at += 2 if found else 1
    return joined


class _PairCounts:
    """How often each pair of neighbouring symbols occurs, kept current while pairs are merged.

    Invariant: counts[p] = sum over distinct words of (occurrences of p in the word) * (the word's count).
    `words_with` may name words that lost the pair since; re-merging such a word changes nothing.
    """

    def __init__(self, words: Counter[str]) -> None:
        self.words = [(_spell(word), count) for word, count in sorted(words.items())]
        self.counts: Counter[Pair] = Counter()
        self.words_with: defaultdict[Pair, set[int]] = defaultdict(set)
        for index in range(len(self.words)):
            self._add(index)

    def _add(self, index: int) -> None:
        symbols, count = self.words[index]
        for pair in pairwise(symbols):
            self.counts[pair] += count
            self.words_with[pair].add(index)

    def merge_most_frequent(self) -> Pair:
        """Merges the pair that occurs most; equal counts are ordered by the pair itself, so the result is unique."""
        best, _ = max(self.counts.items(), key=lambda item: (item[1], item[0][1] < item[0][0], item[0]))
        for index in tuple(self.words_with[best]):
            symbols, count = self.words[index]
            for pair in pairwise(symbols):
                self.counts[pair] -= count
            self.words[index] = (_join(symbols, best), count)
            self._add(index)
        del self.counts[best]
        return best


@dataclass(frozen=True)
class Vocabulary:
    """Ids of all tokens (specials, the 256 bytes, then one per merge) and the merges in the order they were learned."""

    ids: dict[str, int]
    merges: list[Pair]


def learn(text: str, vocab_size: int = VOCAB_SIZE) -> Vocabulary:
    """Learns `vocab_size - 256 - 4` merges from the text; deterministic, a few seconds per megabyte."""
    pair_counts = _PairCounts(Counter(PRETOKEN.findall(text)))
    merges = [pair_counts.merge_most_frequent() for _ in range(vocab_size - 256 - len(SPECIAL_TOKENS))]
    tokens = [*SPECIAL_TOKENS, *BYTE_CHARACTERS.values(), *("".join(pair) for pair in merges)]
    ids = {token: index for index, token in enumerate(tokens)}
    if len(ids) != vocab_size:
        raise ValueError(f"two merges spell the same token: {len(ids)} distinct of {vocab_size}")
    return Vocabulary(ids, merges)


def write(vocabulary: Vocabulary, path: Path) -> None:
    """Writes tokenizer.json: BPE with ByteLevel pre-tokenizer and decoder, no normalizer, no post-processor."""
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    byte_level = dict(type="ByteLevel")
    shared = dict(trim_offsets=True, use_regex=True)
    model = dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                 fuse_unk=False, byte_fallback=False, ignore_merges=False, vocab=vocabulary.ids,
                 merges=[" ".join(pair) for pair in vocabulary.merges])
    document: dict[str, Any] = dict(
        version="1.0", truncation=None, padding=None,
        added_tokens=[dict(id=index, content=token, **flags) for index, token in enumerate(SPECIAL_TOKENS)],
        normalizer=None,
        pre_tokenizer=dict(**byte_level, add_prefix_space=False, **shared),
        post_processor=None,
        decoder=dict(**byte_level, add_prefix_space=True, **shared),
        model=model)
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")


class Tokenizer:
    """Encodes and decodes with a tokenizer.json of the layout above. Encoded pre-tokens are cached for good."""

    def __init__(self, path: Path) -> None:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        self._ids: dict[str, int] = model["vocab"]
        self._tokens = {index: token for token, index in self._ids.items()}
        self._rank = {tuple(merge.split(" ")): rank for rank, merge in enumerate(model["merges"])}
        self._cache: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: special tokens are not recognised in it, none is added."""
        return [token for pretoken in PRETOKEN.findall(text) for token in self._encode_pretoken(pretoken)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids, specials by their names, incomplete UTF-8 as U+FFFD."""
        text = bytearray()
        for index in ids:
            token = self._tokens[int(index)]
            text += token.encode() if index < len(SPECIAL_TOKENS) else bytes(CHARACTER_BYTES[c] for c in token)
        return text.decode("utf-8", "replace")

    def _encode_pretoken(self, pretoken: str) -> list[int]:
        cached = self._cache.get(pretoken)
        if cached is not None:
            return cached
        symbols = _spell(pretoken)
        while candidates := [pair for pair in pairwise(symbols) if pair in self._rank]:
            symbols = _join(symbols, min(candidates, key=self._rank.__getitem__))
        ids = self._cache[pretoken] = [self._ids[symbol] for symbol in symbols]
        return ids
