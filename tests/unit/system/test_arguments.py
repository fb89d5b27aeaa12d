"""Arguments are checked by the type hints of the function that takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from fcn_deploy.errors import FcnDeployError, UnknownNameError
from fcn_deploy.system.arguments import NotNegative, Threads, checked, fitting
from fcn_deploy.system.files import StrPath
from fcn_deploy.system.serialization.decode import at_least

Share = Annotated[float, at_least(0, 1, "a number")]


@pytest.mark.parametrize(("hint", "value", "found"), [
    (Sequence[str], "a, b", ("a", "b")),
    (Sequence[str], ["a,b"], ("a,b",)),
    (Sequence[str] | None, None, None),
    (Sequence[StrPath], "a,b", ("a,b",)),
    (StrPath | Sequence[StrPath], Path("a"), (Path("a"),)),
    (StrPath | None, "a", "a"),
    (Sequence[tuple[int, int]], [[3, 5]], ((3, 5),)),
    (Threads, np.int64(4), 4),
    (NotNegative, float("inf"), float("inf")),
    (Share | None, 1, 1),
    (Literal["a", "b"] | None, "a", "a"),
    (bytes, 3, 3),
])  # fmt: skip
def test_values_that_fit(hint, value, found):
    assert fitting("it", hint, value) == found


@pytest.mark.parametrize(("hint", "value", "message"), [
    (Threads, 2.0, "it is 2.0; expected an integer"),
    (Threads, True, "it is True; expected an integer"),
    (Threads, None, "it is None; expected an integer"),
    (NotNegative, float("nan"), "it is nan; expected a number of 0 or more"),
    (Share | None, 2, "it is 2; expected a number from 0 to 1"),
    (Sequence[str], 3, "it is 3; expected a list"),
    (Sequence[str], ["a", 3], r"it\[1\] is 3; expected text"),
    (Sequence[tuple[int, int]], [(1, 2, 3)], r"it\[0\] is \(1, 2, 3\); expected a tuple of 2 numbers"),
    (Sequence[int], "x" * 99, r"it\[0\] is 'x{39}\.\.\.; expected an integer"),
])  # fmt: skip
def test_values_that_do_not_fit(hint, value, message):
    with pytest.raises(FcnDeployError, match=f"^{message}$"):
        fitting("it", hint, value)


def test_a_literal_names_the_known_values():
    with pytest.raises(UnknownNameError, match=r"^unknown input kind 'c' \(known: a, b\)$"):
        fitting("input_kind", Literal["a", "b"], "c")


def test_only_the_default_may_be_empty():
    @checked
    def call(names: Sequence[str], more: Sequence[str] = (), **settings: NotImported) -> object:  # type: ignore[name-defined]  # noqa: F821
        return names, more, settings

    assert call("a", more=[], extra=1) == (("a",), (), {"extra": 1})
    with pytest.raises(FcnDeployError, match=r"^names is empty; expected at least one$"):
        call("")
