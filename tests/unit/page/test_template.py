"""Templates escape what they are given, and share one style."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from fcn_deploy.page.template import styles, template


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError):
        template("fcn_deploy.training", "run.html").render(version="1")


def test_the_style_has_both_themes_and_the_layout():
    assert "prefers-color-scheme:dark" in styles()
    assert ".legend" in styles()
