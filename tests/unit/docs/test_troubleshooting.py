"""Every message that docs/troubleshooting.md quotes is still in the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import fcn_deploy

PACKAGE = Path(fcn_deploy.__file__).parent
PAGE = PACKAGE.parent / "docs" / "troubleshooting.md"
VARIES = "\0"
SHORTEST = 10  # letters of fixed text, or a quotation would fit anything


def quoted(text: str) -> list[str]:
    """Find what is in bold and in backticks; "…" stands for what varies."""
    return [" ".join(message.split()) for message in re.findall(r"\*\*`([^`]+)`\*\*", text)]


@cache
def texts() -> tuple[str, ...]:
    """Return every text of the sources, joined as Python joins it, with a mark for each value in it."""
    return tuple(text for path in PACKAGE.rglob("*.py") for text in _texts(ast.parse(path.read_text(encoding="utf-8"))))


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else VARIES for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def in_the_sources(message: str) -> bool:
    """Find the fixed parts of `message` in one text, in their order, with values or more text between them."""
    parts = [part.strip() for part in message.split("…")]
    pattern = re.compile(".*".join(re.escape(part) for part in parts if part), re.DOTALL)
    return any(pattern.search(text) for text in texts())


MESSAGES = quoted(PAGE.read_text(encoding="utf-8"))


def test_every_quoted_message_is_in_the_sources():
    too_short = [message for message in MESSAGES if len(re.sub(r"[^a-z]", "", message)) < SHORTEST]
    assert too_short == []
    assert [message for message in MESSAGES if not in_the_sources(message)] == []


def test_enough_is_quoted_and_nothing_twice():
    assert len(MESSAGES) > 60
    assert sorted(set(MESSAGES)) == sorted(MESSAGES)


def test_a_message_that_changed_is_noticed():
    assert in_the_sources("… was built with … here is …, and a plan runs with the release that built it")
    assert not in_the_sources("… was built with … here is …, and a plan runs with the release that made it")
    assert quoted("- **`… is\n  empty`**: **bold** and `code`") == ["… is empty"]
