"""The learning rate of each step."""

from __future__ import annotations

LONGEST_DEFAULT_WARMUP = 1000


def learning_rate(step: int, total: int, base: float, warmup: int, power: float) -> float:
    """Rate of `step` (0-based) of `total`: a linear rise over `warmup` steps, times the poly decay.

    Poly: base * (1 - step / total) ** power, with power 0.9 in "ParseNet" (Liu, Rabinovich, Berg, 2015,
    arXiv 1506.04579) and "DeepLab" (Chen et al., 2016, arXiv 1606.00915, section 4.1). Warm-up, from "Accurate,
    Large Minibatch SGD" (Goyal et al., 2017, arXiv 1706.02677, section 2.2): (step + 1) / warmup while below 1.
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return float(base * rise * (1 - step / total) ** power)


def default_warmup(total: int) -> int:
    """A twentieth of the run, at most 1000 steps: deep nets without batch normalisation diverge without one."""
    return min(LONGEST_DEFAULT_WARMUP, total // 20)
