"""Define the result of a search for layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fcn_deploy.data.digests import Frames
from fcn_deploy.metrics.budget import Judgement
from fcn_deploy.system.serialization.plain import plain


@dataclass(frozen=True)
class LayerFinding:
    """One layer's own sensitivity; None where it was not measured.

    Attributes:
        drop: points of mIoU lost with this layer alone in INT8.
        changed: share of labels that then differ from FP32's.
        hardest: the limit of which it then takes the largest share.
        kept: whether the search leaves it in float.
    """

    name: str
    drop: float | None
    changed: float | None
    hardest: Judgement | None
    kept: bool


@dataclass(frozen=True)
class SearchReport:
    """What a search found; mIoUs and drops in points.

    Attributes:
        fp32, int8, found: mIoU of FP32, of INT8 with no layer kept, and of the choice.
        changed: share of labels that the choice changes.
        int8_judged, judged: what became of each limit with all in INT8, and with the choice, which passes them all.
        layers: in the graph's order.
        recipe: what `keep_float` of a recipe must name: what the user asked to keep and what was found.
        frames: the images it was measured on.
        complete: False if the time was up before all that could be tried was.
        steps, steps_before: how many are in the log, and how many were there when the search started.
        own_seconds, own_cpu_seconds: wall and processor time that the layers alone took, from the tensors before each.
        pass_cpu_seconds: processor time of one pass of the whole FP32 graph over the same images.
        cached_bytes: of FP32 tensors on disk at most; 0 if none were needed.
    """

    data: str
    frames: Frames
    left_out: int
    fp32: float
    int8: float
    found: float
    changed: float
    int8_judged: tuple[Judgement, ...]
    judged: tuple[Judgement, ...]
    layers: tuple[LayerFinding, ...]
    recipe: tuple[str, ...]
    complete: bool
    log: Path
    steps: int
    steps_before: int
    own_seconds: float
    own_cpu_seconds: float
    pass_cpu_seconds: float
    cached_bytes: int
    seconds: float

    @property
    def kept(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.layers if layer.kept)

    @property
    def measured(self) -> tuple[LayerFinding, ...]:
        return tuple(layer for layer in self.layers if layer.drop is not None)

    @property
    def whole_cpu_seconds(self) -> float:
        """Processor time of as many passes of the whole graph as layers were measured."""
        return len(self.measured) * self.pass_cpu_seconds

    def to_plain(self) -> dict[str, Any]:
        """Return what the search found as JSON holds it; mIoUs and drops in points."""
        figures = {
            name: plain(getattr(self, name))
            for name in (
                "data", "left_out", "fp32", "int8", "found", "changed", "int8_judged", "judged", "complete", "steps",
                "steps_before", "own_seconds", "own_cpu_seconds", "whole_cpu_seconds", "cached_bytes", "seconds",
            )
        }  # fmt: skip
        return figures | {
            "images": self.frames.names,
            "log": str(self.log),
            "kept": list(self.kept),
            "keep_float": list(self.recipe),
            "layers": plain(self.layers),
        }
