"""Define the options of a search for layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fcn_deploy.card import ModelCard
from fcn_deploy.data.options import DataOptions
from fcn_deploy.errors import FcnDeployError
from fcn_deploy.metrics.budget import AccuracyBudget
from fcn_deploy.system.files import StrPath

LOG_SUFFIX = ".search.jsonl"


@dataclass(frozen=True)
class SearchOptions:
    """Say what the INT8 graph may lose, and what the search for the layers to leave in float may take.

    Attributes:
        data: a labelled data set, as for `evaluate`.
        max_miou_drop: points of mIoU that the INT8 graph may lose against FP32 on it; below 0 it must gain.
        max_boundary_drop: points of mIoU near label changes.
        max_class_drop: points of the IoU of single classes, by name.
        radius: half width of the band near label changes, in pixels.
        time_budget: seconds after which the search stops measuring layers and decides by what it knows.
        log: the file of finished steps, after which the same search goes on; None is OUTPUT.search.jsonl.

    Raises:
        FcnDeployError: there is no limit, or one is no number of points.
    """

    data: StrPath | DataOptions
    max_miou_drop: float | None = None
    max_boundary_drop: float | None = None
    max_class_drop: Mapping[str, float] = field(default_factory=dict)
    radius: int = 3
    time_budget: float | None = None
    log: StrPath | None = None

    def __post_init__(self) -> None:
        if not self.budget:
            raise FcnDeployError("a search needs a limit on what may be lost: max_miou_drop=0.3, for example")

    @property
    def budget(self) -> AccuracyBudget:
        """Return what may be lost."""
        return AccuracyBudget(self.max_miou_drop, self.max_boundary_drop, self.max_class_drop)

    def check_classes(self, card: ModelCard | None) -> None:
        """Raise UnknownNameError for a limit on a class that a model lacks; names that were guessed say nothing."""
        if card is not None and not card.classes_guessed:
            self.budget.check(card.classes)

    @property
    def images(self) -> DataOptions:
        """Return which images to measure on."""
        return DataOptions.of(self.data)
