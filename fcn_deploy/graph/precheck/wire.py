"""Read the fields of a protobuf message without the libraries that build objects of them, and without its payloads.

The encoding: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10  # bytes of 64 bits in groups of seven
_LAST_BYTES = bytes(range(128))  # of a varint; all others continue it

Buffer = bytes | mmap


class WireError(ValueError):
    """Bytes that are no protobuf message."""


class Field(NamedTuple):
    """One field: its number, its wire type, and where its payload lies; `value` is that of a varint, else 0."""

    number: int
    kind: int
    value: int
    start: int
    end: int


def fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message in `data[start:end]`, in their order.

    Raises:
        WireError: it is cut short, or no message.
    """
    while start < end:
        key, start = _varint(data, start, end)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, after = _varint(data, start, end)
            yield Field(number, kind, value, start, after)
            start = after
            continue
        if kind == BYTES:
            size, start = _varint(data, start, end)
        elif kind in _WIDTHS:
            size = _WIDTHS[kind]
        else:
            raise WireError(f"wire type {kind} at byte {start}")
        if number == 0 or start + size > end:
            raise WireError(f"a field of {size} bytes at byte {start}, {end - start} are left")
        yield Field(number, kind, 0, start, start + size)
        start += size


def message(data: Buffer, field: Field) -> Iterator[Field]:
    """Yield the fields of the message in a field; WireError if it is no message."""
    _expect(field, BYTES)
    return fields(data, field.start, field.end)


def signed(value: int) -> int:
    """Return the int64 that a varint means."""
    return value - (1 << 64) if value >= 1 << 63 else value


def varints(data: Buffer, field: Field) -> list[int]:
    """Return the int64 values of a repeated field, which may be packed; WireError if it is neither form."""
    if field.kind == VARINT:
        return [signed(field.value)]
    _expect(field, BYTES)
    found, at = list[int](), field.start
    while at < field.end:
        value, at = _varint(data, at, field.end)
        found.append(signed(value))
    return found


def count(data: Buffer, field: Field, width: int) -> int:
    """Return how many numbers of `width` bytes a repeated field has; 0 bytes are varints, which are not read."""
    if field.kind != BYTES:
        return 1
    if width:
        return (field.end - field.start) // width
    return len(data[field.start : field.end]) - len(data[field.start : field.end].translate(None, _LAST_BYTES))


def text(data: Buffer, field: Field) -> str:
    """Return the text of a field; WireError if it is not UTF-8."""
    _expect(field, BYTES)
    try:
        return data[field.start : field.end].decode()
    except UnicodeDecodeError as error:
        raise WireError(f"a text that is not UTF-8 at byte {field.start}") from error


def _expect(field: Field, kind: int) -> None:
    if field.kind != kind:
        raise WireError(f"field {field.number} of wire type {field.kind}, expected {kind}")


def _varint(data: Buffer, start: int, end: int) -> tuple[int, int]:
    """Return the number at `start` and where it ends."""
    value = 0
    for at in range(start, min(end, start + _LONGEST_VARINT)):
        byte = data[at]
        value |= (byte & 0x7F) << (7 * (at - start))
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + 1
    raise WireError(f"a number without an end at byte {start}")
