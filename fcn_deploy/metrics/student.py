"""Look up Student's t distribution."""

from __future__ import annotations

import math

# 97.5 % quantiles for 1 to 30 degrees of freedom.
STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
NORMAL = 1.960


def quantile(freedom: float) -> float:
    """Return the 97.5 % quantile; a fraction of a degree of freedom is dropped, and at least one is taken."""
    whole = max(1, int(freedom + 1e-9))
    # Above the table, Cornish and Fisher's first term: t = z + (z^3 + z) / (4 freedom)
    return STUDENT[whole - 1] if whole <= len(STUDENT) else NORMAL + 2.372 / whole


def small_sample_factor(samples: int) -> float:
    """Return by how much a 95 % bootstrap interval of a mean of `samples` (2 or more) is too narrow.

    A bootstrap knows the spread of the samples with `samples` in the place of `samples` - 1, and takes it for the true
    one: its ends are z sqrt((n - 1) / n) standard errors out where t of n - 1 degrees of freedom are right (Hesterberg,
    "What teachers should know about the bootstrap", The American Statistician 69, 2015, section 3.2).
    """
    return quantile(samples - 1) / NORMAL * math.sqrt(samples / (samples - 1))
