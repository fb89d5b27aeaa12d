"""Hold what changed of one row between two records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fcn_deploy.benchmark.baseline.speed_change import SpeedChange
from fcn_deploy.metrics.bootstrap import Interval

Fate = Literal["compared", "lost", "gone", "new"]


@dataclass(frozen=True)
class AccuracyChange:
    """Mean IoU then and now in per cent, and the change in points.

    Attributes:
        change: with a paired interval over the images where both records hold the counts of each, else the bare
            difference.
    """

    before: float
    after: float
    change: Interval

    @property
    def paired(self) -> bool:
        return self.change.low is not None

    @property
    def lower(self) -> bool:
        """Whether it fell: by more than the choice of the images explains, where there is an interval."""
        return self.change.high < 0 if self.change.high is not None else self.change.value < 0


@dataclass(frozen=True)
class RowChange:
    """What became of one row.

    Attributes:
        fate: "lost": measured then and not now; "gone": of the baseline, and not asked for; "new": not in the
            baseline, or not measured there.
        reason: why a row is not compared, or which of its times are not.
    """

    runner: str
    fate: Fate
    reason: str = ""
    speed: tuple[SpeedChange, ...] = ()
    accuracy: AccuracyChange | None = None
