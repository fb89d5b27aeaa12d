"""Find what takes most of a row's time: upload, compute, download, or launching."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fcn_deploy.benchmark.record.measurement import Latency
from fcn_deploy.benchmark.record.series import STEPS, Series, series
from fcn_deploy.benchmark.record.stability import stability
from fcn_deploy.benchmark.record.types import Record, Row
from fcn_deploy.system.formatting import short_ms

# The share of the time that makes a step the one to work on.
MOST = 0.6
# The share that does not shrink with the image, or passes while the device is idle, beyond which launching is it.
LAUNCH = 0.5
# A median that is known to less is no point to draw a line through.
MAX_UNCERTAINTY = 0.2
# Less gain from streaming is not worth a sentence.
GAIN = 1.1


def bottleneck(record: Record, row: Row) -> Iterator[str]:
    """Yield at most one sentence: what to work on if the row is to be faster.

    Launching is looked for first, because the host's clock counts it as compute: by the GPU's own events where there
    are any, else by what an inference costs at no pixels, a line through the smallest and the largest shape.
    """
    own = series(record, row.own)
    if own is None:
        return
    text = _idle(row.own.latency) or _fixed(row) or _largest_step(own)
    gain = streaming_gain(record, row)
    more = f"; streamed, {gain:.1f} times the images per second: copies hide behind compute" if gain > GAIN else ""
    yield f"{text}{more}"


def _idle(latency: Latency | None) -> str:
    """Launch-bound by the device's events: the host waits for longer than the device works."""
    if latency is None or latency.device is None:
        return ""
    busy, whole = (float(np.median(np.sum(clock.steps, axis=0))) for clock in (latency.device, latency))
    if whole == 0 or 1 - busy / whole <= LAUNCH:
        return ""
    return f"bound by launch: the device works for {short_ms(busy / 1e6)} of {short_ms(whole / 1e6)} ms"


def _fixed(row: Row) -> str:
    """Launch-bound by the resized images: most of the smallest shape's time does not depend on its pixels.

    A line through medians that are hardly known would say anything: those not known to within a fifth are left out.
    """
    timed = [(found.shape, found.latency.execute_ns) for found in row.resized if found.shape and found.latency]
    points = sorted(
        (math.prod(shape), float(np.median(execute_ns)) / 1e6)
        for shape, execute_ns in timed
        if (found := stability(execute_ns)) is not None and found.uncertainty <= MAX_UNCERTAINTY
    )
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return ""
    (few, quick), (many, slow) = points[0], points[-1]
    fixed = (quick * many - slow * few) / (many - few)
    if quick == 0 or fixed / quick <= LAUNCH:
        return ""
    of = f"about {short_ms(fixed)} of {short_ms(quick)} ms"
    return f"bound by launch in its smallest cell: {of} do not depend on the pixels"


def _largest_step(own: Series) -> str:
    medians = np.median(own.steps, axis=1) / 1e6
    shares = medians / (medians.sum() or 1.0)
    largest = int(np.argmax(shares))
    if shares[largest] >= MOST:
        return f"bound by {STEPS[largest]}: {100 * shares[largest]:.0f} % of {short_ms(medians.sum())} ms"
    parts = ", ".join(f"{name} {100 * share:.0f} %" for name, share in zip(STEPS, shares, strict=True))
    return f"bound by no single step: {parts} of {short_ms(medians.sum())} ms"


def streaming_gain(record: Record, row: Row) -> float:
    """Return images per second when streamed over those one at a time; 0 where it was not streamed."""
    own, saturated = series(record, row.own), row.own.saturated
    if own is None or saturated is None or not saturated.streamed or not saturated.seconds:
        return 0.0
    images = sum(shape[0] for shape in own.shapes)
    return saturated.images / saturated.seconds / (1000 * images / float(own.total_ms.sum()))
