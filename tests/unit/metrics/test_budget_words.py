"""What became of a limit is worded in one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import fcn_deploy
from fcn_deploy.metrics.bootstrap import Interval
from fcn_deploy.metrics.budget_words import allowed_words, doubt_words, evidence, moved

PACKAGE = Path(fcn_deploy.__file__).parent
WORDS = re.compile(r"(fell|rose) by|cannot exclude|are allowed|a gain of|95 % interval over")


def test_each_part_of_a_sentence():
    assert [moved(loss) for loss in (0.524, -0.1, 0.0, float("nan"))] == [
        "fell by 0.52 points",
        "rose by 0.10 points",
        "did not change",
        "did not change",
    ]
    assert evidence(Interval(1.0, 0.5, 1.25), 20) == "95 % interval over 20 images: 0.50 to 1.25"
    assert evidence(Interval(1.0), 1) == "the bare difference: one image"
    assert (allowed_words(0.3), allowed_words(-1)) == ("at most 0.3 are allowed", "a gain of 1 is asked for")


def test_what_images_cannot_exclude():
    assert doubt_words(Interval(0.5, -0.1, 1.1), 0.3, 5) == "5 images cannot exclude no loss at all"
    assert doubt_words(Interval(0.2, -0.3, 0.7), 0.3, 1) == "1 image cannot exclude a loss of 0.6 points"
    assert doubt_words(Interval(-0.8, -2.4, 0.8), -1.0, 5) == "5 images cannot exclude a gain of 2 points"


def test_no_other_module_words_a_loss_itself():
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if any(_worded(path))}
    assert found == {"metrics/budget_words.py"}


def _worded(path: Path) -> Iterator[bool]:
    """Look at the texts of a module, its docstrings aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    spoken = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            yield bool(WORDS.search(node.value))
