"""What explains the label maps of another program, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fcn_deploy.system.serialization.plain import plain

SAME = 0.97  # share of equal labels from which the rest may be the precision's
Verdict = Literal["same", "explained", "unexplained"]


@dataclass(frozen=True)
class Explanation:
    """One explanation: the slips in words, what to do, and the share of the labels that are then equal, 0..1."""

    name: str
    fixes: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class SlipReport:
    """What explains the label maps of another program.

    Attributes:
        reference, labels_from, frames: file, folder, number of label maps compared.
        verdict: "same" without a slip, "explained" by `tried[0]`, or "unexplained".
        as_they_are: share of equal labels, 0..1; one_label: that of one label everywhere.
        alike: other explanations of as many slips with the same share as the first.
        tried: the best explanations on all frames, the chosen one first.
        label_size, image_size: (H, W) of the first.
        runs: how often the network ran.
    """

    reference: str
    labels_from: str
    frames: int
    verdict: Verdict
    as_they_are: float
    one_label: float
    tried: tuple[Explanation, ...]
    label_size: tuple[int, int]
    image_size: tuple[int, int]
    runs: int
    alike: tuple[str, ...] = ()

    @property
    def explained_by(self) -> str | None:
        """The slips in words, None unless the verdict is "explained"."""
        return ", or ".join([self.tried[0].name, *self.alike]) if self.verdict == "explained" else None

    def to_plain(self) -> dict[str, Any]:
        """Return the report as plain data."""
        found: dict[str, Any] = plain(self)
        return {"kind": "slips", "explained_by": self.explained_by} | found
