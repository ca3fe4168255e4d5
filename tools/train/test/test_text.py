"""The tokenizer and the text: that the bundled tokenizer can be made again, and nothing held out is trained on."""
import tempfile
import unittest
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

from train import tokenizer
from train.data import Mixture, Streams, consecutive_windows, encode_corpus, gapped_positions, load_corpus
from train.tokenizer import ASSISTANT, END_OF_TEXT, SYSTEM, USER, Tokenizer

BUNDLED = Path(__file__).resolve().parents[3] / "models" / "shakespeare-target" / "tokenizer.json"


@cache
def text_streams() -> Streams:
    return encode_corpus(load_corpus(), Tokenizer(BUNDLED))


class TokenizerTest(unittest.TestCase):
    def test_learning_again_gives_the_bundled_file_byte_for_byte(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tokenizer.json"
            tokenizer.write(tokenizer.learn(load_corpus().train), path)
            self.assertEqual(path.read_bytes(), BUNDLED.read_bytes())

    def test_any_text_survives_encoding_and_decoding(self) -> None:
        encoder = Tokenizer(BUNDLED)
        for text in ("", "a", "  two  spaces \n\n\t", "Ünïcode — naïve 日本 🙂", "O, that's it: 1, 2, 3!"):
            self.assertEqual(encoder.decode(encoder.encode(text)), text)

    def test_merges_follow_counts_and_join_left_to_right(self) -> None:
        # 'a a' occurs 4 times in two words of 'aaa', ties none; then 'aa a' occurs twice.
        vocabulary = tokenizer.learn("aaa\naaa", vocab_size=256 + 4 + 2)
        self.assertEqual(vocabulary.merges, [("a", "a"), ("aa", "a")])


class DataTest(unittest.TestCase):
    def test_the_split_is_at_a_speech_after_95_percent(self) -> None:
        corpus = load_corpus()
        self.assertEqual([len(corpus.train), len(corpus.heldout), len(corpus.more)], [1_059_682, 55_712, 3_735_756])
        self.assertTrue(corpus.train.endswith("\n\n"))

    def test_dialogues_alternate_roles_and_end_every_turn(self) -> None:
        streams = text_streams()
        chat = streams.train_chat
        counts = Counter(chat[chat <= SYSTEM].tolist())
        self.assertEqual(counts[END_OF_TEXT], counts[USER] + counts[ASSISTANT] + counts[SYSTEM])
        turns = chat[(chat == USER) | (chat == ASSISTANT)]
        self.assertTrue((turns[1::2] == ASSISTANT).all() and (turns[0::2] == USER).all())
        self.assertEqual(sum(len(stream) for stream in (streams.train, streams.heldout)), 460_559)

    def test_a_mixture_draws_its_shares(self) -> None:
        streams = text_streams()
        rng = np.random.default_rng(7)
        picked = Counter(id(Mixture(0.7, 0.12).pick(rng, streams)) for _ in range(4000))
        wanted = {"train": 0.264, "more": 0.616, "train_chat": 0.036, "more_chat": 0.084}
        for name, share in wanted.items():
            self.assertAlmostEqual(picked[id(getattr(streams, name))] / 4000, share, delta=0.03)

    def test_positions_rise_by_one_with_at_most_one_gap_and_stay_in_range(self) -> None:
        positions = gapped_positions(np.random.default_rng(3), 500, 64, 2048)
        steps = np.diff(positions, axis=1)
        self.assertTrue((steps >= 1).all() and (positions[:, 0] == 0).all() and positions.max() < 2048)
        jumped = (steps > 1).sum(axis=1)
        self.assertLessEqual(jumped.max(), 1)
        self.assertAlmostEqual(jumped.mean(), 0.15, delta=0.06)

    def test_labels_are_the_tokens_that_follow(self) -> None:
        inputs, labels = consecutive_windows(np.arange(21), 5)
        self.assertEqual(inputs.tolist()[-1], [15, 16, 17, 18, 19])
        self.assertTrue((labels == inputs + 1).all())
