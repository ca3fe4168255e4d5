"""The training text: its split, its token streams (plain and as dialogue), and the windows drawn from them.

Invariant: no line of 20 or more characters of the held-out part occurs in the added works (checked at every load).
"""
from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .tokenizer import ASSISTANT, END_OF_TEXT, SYSTEM, USER, Tokenizer

DATA_DIR = Path(__file__).parent / "data"
HELDOUT_RATIO = 0.05
SHARED_LINE_CHARACTERS = 20
SYSTEM_PROMPTS = (
    "You are a player in a Shakespeare play.",
    "Answer in verse.",
    "You are a helpful assistant.",
    "Speak as one of the characters of the play.",
)

Ids = NDArray[np.int64]
"""Token ids."""


@dataclass(frozen=True)
class Corpus:
    """`train` and `heldout` are the two parts of input.txt, `more` is the text of more.txt.gz."""

    train: str
    more: str
    heldout: str


def load_corpus(folder: Path = DATA_DIR) -> Corpus:
    """Reads both files. Held out is the end of input.txt, from the first speech after 95 % of its bytes.

    Raises ValueError when the added works hold a line of the held-out part.
    """
    raw = (folder / "input.txt").read_bytes()
    cut = raw.index(b"\n\n", int(len(raw) * (1 - HELDOUT_RATIO))) + 2
    with gzip.open(folder / "more.txt.gz") as file:
        corpus = Corpus(raw[:cut].decode(), file.read().decode(), raw[cut:].decode())
    shared = _long_lines(corpus.more) & _long_lines(corpus.heldout)
    if shared:
        raise ValueError(f"more.txt.gz holds {len(shared)} held-out lines, such as {min(shared)!r}")
    return corpus


def _long_lines(text: str) -> set[str]:
    """Lines long enough to be telling, reduced to lower-case words, so that spelling of the layout does not matter."""
    lines = (line for line in text.split("\n") if len(line) >= SHARED_LINE_CHARACTERS)
    return {" ".join(re.sub(r"[^a-z0-9 ]", "", line.lower().replace("-", " ")).split()) for line in lines}


@dataclass(frozen=True)
class Streams:
    """The corpus as ids, each stream one dimension. The two `chat` streams are the same text cut into dialogues."""

    train: Ids
    more: Ids
    train_chat: Ids
    more_chat: Ids
    heldout: Ids


def encode_corpus(corpus: Corpus, tokenizer: Tokenizer) -> Streams:
    """Encodes everything; a few seconds."""
    plain = [np.array(tokenizer.encode(text), np.int64) for text in (corpus.train, corpus.more, corpus.heldout)]
    return Streams(plain[0], plain[1], _dialogues(corpus.train, tokenizer), _dialogues(corpus.more, tokenizer), plain[2])


def _dialogues(text: str, tokenizer: Tokenizer, seed: int = 0) -> Ids:
    """Speeches as turns of 2 to 8 in the chat template's format, so that the role markers and the end of a turn are learned.

    Two in five dialogues open with a system prompt; half of the turns drop the line that names the speaker.
    """
    rng = np.random.default_rng(seed)
    ids: list[int] = []
    turns_left, role = 0, USER
    for speech in text.split("\n\n"):
        if turns_left == 0:
            turns_left, role = int(rng.integers(1, 5)) * 2, USER
            if rng.random() < 0.4:
                prompt = SYSTEM_PROMPTS[int(rng.integers(len(SYSTEM_PROMPTS)))]
                ids += [SYSTEM, *tokenizer.encode(prompt), END_OF_TEXT]
        if rng.random() < 0.5 and ":\n" in speech:
            speech = speech.split(":\n", 1)[1]
        ids += [role, *tokenizer.encode(speech.strip()), END_OF_TEXT]
        role = ASSISTANT if role == USER else USER
        turns_left -= 1
    return np.array(ids, np.int64)


@dataclass(frozen=True)
class Mixture:
    """What a batch is drawn from: the added works with `more_ratio`, as dialogue with `chat_ratio`."""

    more_ratio: float
    chat_ratio: float

    def pick(self, rng: np.random.Generator, streams: Streams) -> Ids:
        """One stream at random."""
        from_more = rng.random() < self.more_ratio
        as_chat = rng.random() < self.chat_ratio
        if from_more:
            return streams.more_chat if as_chat else streams.more
        return streams.train_chat if as_chat else streams.train


def sample_windows(rng: np.random.Generator, ids: Ids, num_rows: int, length: int) -> Ids:
    """`num_rows` windows that begin anywhere: [num_rows, length]."""
    starts = rng.integers(0, len(ids) - length, num_rows)
    return np.stack([ids[start:start + length] for start in starts])


def gapped_positions(rng: np.random.Generator, num_rows: int, length: int, max_positions: int) -> Ids:
    """Positions [num_rows, length]: 0..length-1, but 15 % of the rows jump ahead once, to anywhere below `max_positions`.

    Rotary attention sees differences only, so shifting a whole window would teach nothing; a gap inside it trains
    long distances at the price of a short window.
    """
    positions = np.tile(np.arange(length), (num_rows, 1))
    for row in positions:
        if rng.random() < 0.15:
            row[int(rng.integers(length // 8, length - length // 8)):] += int(rng.integers(1, max_positions - length))
    return positions


def consecutive_windows(ids: Ids, length: int) -> tuple[Ids, Ids]:
    """All of a stream but its last part-window, once: inputs [num_windows, length] and the tokens that follow each."""
    num_windows = (len(ids) - 1) // length
    return ids[:num_windows * length].reshape(-1, length), ids[1:num_windows * length + 1].reshape(-1, length)
