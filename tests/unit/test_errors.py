"""What errors have in common: near names, and an error that is raised again as another one."""

from __future__ import annotations

import pytest

from fcn_deploy.errors import DataError, RecipeError, UnknownNameError, did_you_mean, restated


def test_at_most_two_near_names_are_suggested():
    assert did_you_mean("fcn16", ["fcn8s", "fcn16s", "fcn32s"]) == "; did you mean fcn16s or fcn8s?"
    assert did_you_mean("zebra", ["fcn8s"]) == ""
    assert str(UnknownNameError.of("model", "zebra", ["b", "a"])) == "unknown model 'zebra' (known: a, b)"


def test_an_error_is_raised_again_with_its_message_and_its_cause():
    with (
        pytest.raises(DataError, match=r"^a\.txt: no class$") as found,
        restated(DataError, RecipeError, prefix="a.txt: "),
    ):
        raise RecipeError("no class")
    assert isinstance(found.value.__cause__, RecipeError)


def test_other_errors_pass():
    with pytest.raises(KeyError), restated(DataError, RecipeError):
        raise KeyError("a")
    with restated(DataError, RecipeError):
        done = True
    assert done
