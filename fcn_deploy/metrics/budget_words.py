"""Word what became of a limit: every command that speaks of harm takes its words from here."""

from __future__ import annotations

import math

from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.system.formatting import count


def moved(loss: float) -> str:
    """Write "fell by 0.52 points"."""
    if loss == 0 or math.isnan(loss):
        return "did not change"
    return f"{'fell' if loss > 0 else 'rose'} by {abs(loss):.2f} points"


def evidence(loss: Interval, images: int) -> str:
    """Write the interval of a loss, or why there is none."""
    if loss.low is None or loss.high is None:
        return "the bare difference: " + ("one image" if images == 1 else "no counts of each image on both sides")
    # Of a gain both ends are gains, as the sentence says by how much it rose; 0.0 takes the sign from -0.00.
    low, high = (-loss.high, -loss.low) if loss.value < 0 else (loss.low, loss.high)
    return f"95 % interval over {count(images, 'image')}: {round(low, 2) + 0.0:.2f} to {round(high, 2) + 0.0:.2f}"


def allowed_words(points: float) -> str:
    """Write "at most 0.3 are allowed"."""
    return f"at most {points:g} are allowed" if points >= 0 else f"a gain of {-points:g} is asked for"


def doubt_words(loss: Interval, allowed: float, images: int) -> str:
    """Write why a limit is not judged: "20 images cannot exclude a loss of 0.6 points"."""
    passing, failing = sorted((0.0, 2 * allowed))
    other = passing if loss.value > allowed else failing
    named = f"a {'loss' if other > 0 else 'gain'} of {abs(other):g} points" if other else "no loss at all"
    return f"{count(images, 'image')} cannot exclude {named}"
