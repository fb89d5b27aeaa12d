"""Damage the bytes of a file in ways that a disk, a copy or an attacker does; each seed gives one damaged file."""

from __future__ import annotations

import random
from collections.abc import Callable

# Numbers at which lengths, counts and offsets overflow.
EDGES = tuple(bytes.fromhex(text) for text in (
    "00", "01", "7f", "80", "ff", "ffff", "ff7f", "00000080", "ffffff7f", "ffffffff", "ffffffffffffffff7f",
    "ffffffffffffffffff01", "80808080808080808001", "feffffffffffffffff01",
))  # fmt: skip


def mutated(data: bytes, seed: int) -> bytes:
    """Return `data` with one to eight places damaged."""
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        data = chance.choice(_WAYS)(data, chance)
    return data


def _flip(data: bytes, chance: random.Random) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    at, edge = chance.randrange(len(data) + 1), chance.choice(EDGES)
    return data[:at] + edge + data[at + len(edge) :]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice((*EDGES, chance.randbytes(chance.randrange(1, 9)))) + data[at:]


def _remove(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randrange(1, 65) :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    at, size = chance.randrange(len(data) + 1), chance.randrange(1, 257)
    return data[:at] + data[at : at + size] * 2 + data[at + size :]


def _swap(data: bytes, chance: random.Random) -> bytes:
    first, second = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    size = min(chance.randrange(1, 65), second - first)
    a, b = data[first : first + size], data[second : second + size]
    return data[:first] + b + data[first + size : second] + a + data[second + size :]


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _flip, _overwrite, _overwrite, _insert, _remove, _cut, _repeat, _swap
)  # fmt: skip
