"""One axis of one tensor while a window of an image goes through a network: what the window's own borders have touched.

A window is a part of an image that is run alone. Inside it a tensor's values are those of the whole image's tensor,
save near borders where the whole image has pixels and the window has padding, or nothing. `Span` says which are sound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction


@dataclass(frozen=True)
class Span:
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
class Taps:
    """What output o reads of one axis: `kernel` inputs, `dilation` apart, the first at o x `stride` - `before`."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0

    @property
    def reach(self) -> int:
        """Inputs from the first tap to the last."""
        return (self.kernel - 1) * self.dilation


def windowed(span: Span, taps: Taps, size: int) -> Span:
    """Convolution and pooling: output o reads o s - p .. o s - p + (k - 1) d."""
    first = -((-span.first - taps.before) // taps.stride)
    last = (span.last - 1 + taps.before - taps.reach) // taps.stride + 1
    return _clamped(first, last, size, span.stride * taps.stride)


def transposed(span: Span, taps: Taps, size: int) -> Span:
    """Transposed convolution: input i goes into outputs i s - p .. i s - p + (k - 1) d."""
    first = (span.first - 1) * taps.stride - taps.before + taps.reach + 1
    last = span.last * taps.stride - taps.before
    return _clamped(first, last, size, span.stride / taps.stride)


def repeated(span: Span, times: int, size: int) -> Span:
    """Each index becomes `times` of them (DepthToSpace)."""
    return _clamped(span.first * times, span.last * times, size, span.stride / times)


def shifted(span: Span, places: int, size: int) -> Span:
    """Padding by `places` in front, or a cut of -`places` there."""
    return _clamped(span.first + places, span.last + places, size, span.stride)


def interpolated(span: Span, size: int, shift: Fraction) -> Span:
    """Linear or nearest interpolation to `size`: output o reads both neighbours of (o + shift) in / out - shift.

    `shift` is 1/2 for pixel centres aligned by half, 0 for `asymmetric`. At integral positions the second neighbour
    weighs nothing, but 0 times a value is asked for all the same.
    """
    scale = Fraction(size, span.size)
    first = (span.first + shift) * scale - shift  # the smallest real o with a position >= first
    last = (span.last - 1 + shift) * scale - shift  # below it floor(position) + 1 <= last - 1
    return _clamped(-(-first // 1), -(-last // 1), size, span.stride / scale)


def met(spans: list[Span]) -> Span:
    """Where all of several tensors of one size are sound."""
    return replace(spans[0], first=max(span.first for span in spans), last=min(span.last for span in spans))


def _clamped(first: int, last: int, size: int, stride: Fraction) -> Span:
    return Span(max(0, first), min(size, last), size, stride)
