"""Track which indices of a tensor's axis are unaffected by the borders of the window that was run.

A window is a part of an image that is run alone. Inside it a tensor's values are those of the whole image's tensor,
save near borders where the whole image has pixels and the window has padding, or nothing. `ValidRange` says which are
valid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction


@dataclass(frozen=True)
class ValidRange:
    """Indices [first, last) of `size` that hold what the whole image's tensor holds, for a window with no true border.

    Attributes:
        stride: image pixels from one index to the next.
    """

    first: int
    last: int
    size: int
    stride: Fraction = Fraction(1)

    @property
    def empty(self) -> bool:
        return self.last <= self.first


@dataclass(frozen=True)
class Kernel:
    """What output o reads of one axis: `kernel` inputs, `dilation` apart, the first at o x `stride` - `before`."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    @property
    def reach(self) -> int:
        """Inputs from the first tap to the last."""
        return (self.kernel - 1) * self.dilation


def after_window(valid: ValidRange, taps: Kernel, size: int) -> ValidRange:
    """Map a range through convolution or pooling: output o reads o s - p .. o s - p + (k - 1) d."""
    first = -((-valid.first - taps.before) // taps.stride)
    last = (valid.last - 1 + taps.before - taps.reach) // taps.stride + 1
    return _clamped(first, last, size, valid.stride * taps.stride)


def after_transposed_convolution(valid: ValidRange, taps: Kernel, size: int) -> ValidRange:
    """Map a range through a transposed convolution: input i goes into outputs i s - p .. i s - p + (k - 1) d."""
    first = (valid.first - 1) * taps.stride - taps.before + taps.reach + 1
    last = valid.last * taps.stride - taps.before
    return _clamped(first, last, size, valid.stride / taps.stride)


def after_repeat(valid: ValidRange, times: int, size: int) -> ValidRange:
    """Repeat each index `times` times (DepthToSpace)."""
    return _clamped(valid.first * times, valid.last * times, size, valid.stride / times)


def after_shift(valid: ValidRange, places: int, size: int) -> ValidRange:
    """Shift a range by padding of `places` in front, or a cut of -`places`."""
    return _clamped(valid.first + places, valid.last + places, size, valid.stride)


def after_interpolation(valid: ValidRange, size: int, shift: Fraction) -> ValidRange:
    """Map a range through interpolation to `size`: output o reads both neighbours of (o + shift) in / out - shift.

    `shift` is 1/2 for pixel centres aligned by half, 0 for `asymmetric`. At integral positions the second neighbour
    weighs nothing, but 0 times a value is asked for all the same.
    """
    scale = Fraction(size, valid.size)
    first = (valid.first + shift) * scale - shift  # the smallest real o with a position >= first
    last = (valid.last - 1 + shift) * scale - shift  # below it floor(position) + 1 <= last - 1
    return _clamped(-(-first // 1), -(-last // 1), size, valid.stride / scale)


def intersection(ranges: list[ValidRange]) -> ValidRange:
    """Return the range in which all of several tensors of one size are valid."""
    return replace(ranges[0], first=max(valid.first for valid in ranges), last=min(valid.last for valid in ranges))


def _clamped(first: int, last: int, size: int, stride: Fraction) -> ValidRange:
    return ValidRange(max(0, first), min(size, last), size, stride)
