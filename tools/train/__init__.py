"""Trains the bundled Shakespeare pair: a byte-level BPE, a target model, and a draft distilled from it.

Needs numpy and torch 1.13 or newer, nothing else. Run `python3 -m train --help` from the folder above this one.
"""
