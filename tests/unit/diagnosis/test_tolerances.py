"""Limits by type."""

from __future__ import annotations

import pytest

from fcn_deploy.diagnosis.tolerances import TOLERANCES, limits_of, with_changes
from fcn_deploy.errors import UnknownNameError


def test_limits_are_those_of_the_type_and_unknown_ones_are_refused():
    assert [limits_of(claim) for claim in ("fp32", "int8", "unknown")] == ["fp32", "int8", "int8"]
    changed = with_changes([("fp16", "layer", 0.5)])
    assert changed["fp16"].layer == 0.5
    assert changed["fp16"].labels == TOLERANCES["fp16"].labels
    with pytest.raises(UnknownNameError, match="unknown precision 'int4'"):
        with_changes([("int4", "layer", 0.5)])
