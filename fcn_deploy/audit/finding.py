"""Describe one thing to know before a build, without a library that reads the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One thing to know before a build.

    Attributes:
        rule: its short name ("zero-point").
        level: "error" if the file would be rejected or give wrong masks, else "warning".
        names: the nodes or tensors concerned, in the graph's order; empty if it is the file as a whole.
        problem, fix: what is wrong, to be read after the names and a colon, and what to do.
    """

    rule: str
    level: Level
    names: tuple[str, ...]
    problem: str
    fix: str
