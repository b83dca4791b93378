"""Chance that depends on names alone, never on order: a resumed stage draws what it would have drawn."""

import random

import xxhash


def keyed_integer(*parts: str | int) -> int:
    """A uniform 64-bit integer, the same for the same parts on every machine and in every process."""
    return xxhash.xxh3_64_intdigest("\0".join(str(part) for part in parts).encode())


def keyed_random(*parts: str | int) -> random.Random:
    """A random generator, likewise."""
    return random.Random(keyed_integer(*parts))
