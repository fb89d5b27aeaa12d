"""Define the size at which a network computes apart from the size of the image: fixed, a longest side, or a factor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from fcn_deploy.errors import ShapeError
from fcn_deploy.vocabulary import LONGEST_SIDE, Size, parse_size, shape_text

LONGEST = "longest:"
MOST = 4  # of a factor: beyond, a network is given what no image has
KINDS = f"HxW as in 512x1024, a longest side as in {LONGEST}1024, or a factor above 0 and at most {MOST} as in 0.5"


@dataclass(frozen=True)
class NetworkSize:
    """The (height, width) that a network gets for an image; one of the three is set.

    Attributes:
        fixed: (height, width) for every image.
        longest: the longer side; the other keeps the image's proportions.
        factor: what both sides are multiplied by; 1 leaves images as they are.
    """

    fixed: Size | None = None
    longest: int | None = None
    factor: Fraction = Fraction(1)

    @property
    def text(self) -> str:
        """Write "512x1024", "longest:1024" or "0.5", as `parse` reads it; "" for images as they are."""
        if self.fixed is not None:
            return shape_text(self.fixed)
        if self.longest is not None:
            return f"{LONGEST}{self.longest}"
        return "" if self.factor == 1 else f"{float(self.factor):.9f}".rstrip("0").rstrip(".")

    @property
    def least_side(self) -> int | None:
        """The smallest number that the size names; None of a factor."""
        return self.longest if self.fixed is None else min(self.fixed)

    @property
    def enlarging(self) -> str:
        """Say in one line that a factor above 1 enlarges every image; "" where that depends on the image."""
        if self.factor <= 1:
            return ""
        return (
            f"note: a network size of {self.text} enlarges every image, which costs {float(self.factor**2):.3g} times "
            "the work and shows the network nothing new"
        )

    def of(self, size: Size, divisor: int = 1) -> Size:
        """Return the network's (height, width) for an image of `size`; no side becomes 0.

        A side is its share, `side * p / q`, rounded to the nearest multiple of `divisor`, half of one upwards: in
        integers, so that an exported graph, which computes the same, never differs.
        """
        if self.fixed is not None:
            return self.fixed
        if self == NetworkSize():
            return size
        over, under = self.share(max(size))
        height, width = (
            max(1, (2 * side * over + under * divisor) // (2 * under * divisor)) * divisor for side in size
        )
        return height, width

    def share(self, longer: int) -> tuple[int, int]:
        """Return p and q of the share p / q of an image whose longer side is given."""
        return (self.longest, longer) if self.longest is not None else self.factor.as_integer_ratio()

    @classmethod
    def parse(cls, text: str) -> NetworkSize:
        """Read "512x1024", "longest:1024", "0.5" or "" (images as they are).

        Raises:
            ShapeError: none of these, or a side of more than `LONGEST_SIDE` pixels.
        """
        found = cls._read(text.strip().lower())
        if found is None:
            raise ShapeError(f"'{text}' is not a network size; write {KINDS}")
        if max(found.fixed or (found.longest or 1,)) > LONGEST_SIDE:
            raise ShapeError(f"'{text}' has a side of more than {LONGEST_SIDE} pixels; give a smaller size")
        return found

    @classmethod
    def _read(cls, given: str) -> NetworkSize | None:
        if not given:
            return cls()
        if re.fullmatch(r"\d+x\d+", given, re.ASCII):
            return cls(fixed=parse_size(given))
        number = given.removeprefix(LONGEST)
        if number != given and re.fullmatch(r"0*[1-9]\d{0,9}", number, re.ASCII):
            return cls(longest=int(number))
        if number == given and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", given, re.ASCII) and 0 < Fraction(given) <= MOST:
            return cls(factor=Fraction(given))
        return None


def network_size_text(text: str) -> str:
    """Check a network size and return it as `NetworkSize.text` writes it.

    Raises:
        ShapeError: not a network size.
    """
    return NetworkSize.parse(text).text


def size_words(text: str) -> str:
    """Return a size as `NetworkSize.parse` and options take it: "1" for the image's own, which is "" in a card."""
    return text or "1"
