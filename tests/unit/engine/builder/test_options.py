"""What a build may be asked for."""

from __future__ import annotations

import pytest

from fcn_deploy.engine.builder.options import BuildOptions, parse_sm
from fcn_deploy.errors import EngineError


def test_only_what_was_asked_for_is_listed():
    assert BuildOptions().asked() == {}
    asked = BuildOptions(sm=("SM86",), tf32=False, optimization_level=0, strip=True).asked()
    assert asked == {"sm": ["SM86"], "tf32": False, "optimization_level": 0, "strip": True}


def test_options_out_of_range_are_refused():
    with pytest.raises(EngineError, match="optimization level 6 does not exist"):
        BuildOptions(optimization_level=6)
    with pytest.raises(EngineError, match="the workspace is 0 bytes"):
        BuildOptions(workspace_bytes=0)


def test_architectures_are_read_in_every_spelling_once():
    assert parse_sm("86, sm_89,SM120,86,current") == ("SM86", "SM89", "SM120", "CURRENT")
    for text in ("", "ampere", "8.6", "86,,x"):
        with pytest.raises(EngineError, match="write numbers with commas between"):
            parse_sm(text)
