"""Package, pages and names of tests are in plain words: the table of CONTRIBUTING, "Words", as a search."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.pages import PAGES

# What is searched for, what to write in its place, and why.
RULES = (
    (r"mend(s|ed|ing)?", "fix", "one word for what to do about a fault"),
    (r"(is|are|was|were|be|been) said(?! to)", "is reported, is printed", "text is printed"),
    (r"told", "reported, listed, distinguished", "files and programs do not tell"),
    (r"tells(?! \w+ apart)", "shows, reports, says", "files and programs do not tell"),
    (r"in silence|without a word", "silently", "one word for it"),
    (r"needed (is|are)", "expected X, got Y", "errors have one form"),
    (r"beside", "next to, with, in addition to", "it means three things"),
    (r"anew", "again", "the common word"),
    (
        r"(images|bytes|frames|bits|pixels|boxes|lines) a (second|pixel|image|class|channel)",
        "images per second",
        "a rate",
    ),
    (r"stands?(?! out)", "is, means, appears", "files, names and rows are somewhere"),
    (r"nobody", "is not ..., no ...", "say what is missing"),
    (r"came of it", "the result", "name the thing"),
    (r"held against", "compared with", "the field's word"),
    (r"weighs", "counts", "no metaphors"),
    (r"begins|began", "starts, started", "one word for it"),
    (r"bears? with|worth a word|by hand of", "name the cost or the tool", "no idioms"),
)
SEARCHES = [(re.compile(rf"(?<![\w-]){words}(?!\w)"), instead, reason) for words, instead, reason in RULES]

# Lines in which the word is right, whole and without blanks at their ends.
ALLOWED: frozenset[str] = frozenset()

PACKAGE = [path for folder in ("fcn_deploy", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
RECORDED = ROOT / "docs" / "results.md"  # names in records of earlier runs


def faults(lines: Iterator[tuple[int, str]] | list[tuple[int, str]]) -> Iterator[str]:
    """Yield "line 3: 'anew' (write again: the common word)" for each hit."""
    for number, line in lines:
        for pattern, instead, reason in SEARCHES:
            if (hit := pattern.search(line)) and line.strip() not in ALLOWED:
                yield f"line {number}: '{hit[0]}' (write {instead}: {reason})"


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a page, or those of a module's strings and comments."""
    if path.suffix != ".py":
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        return
    with path.open("rb") as source:
        for token in tokenize.tokenize(source.readline):
            if token.type in (tokenize.STRING, tokenize.COMMENT) or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
                for offset, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + offset, line


def names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the names of a module's tests as sentences."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := re.match(r"\s*def (test_\w+)", line):
            yield number, found[1].replace("_", " ")


def newest_changes() -> list[tuple[int, str]]:
    """Return the lines of CHANGELOG's first section."""
    sections = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")
    return list(enumerate(sections[1].splitlines(), 1))


def test_strings_and_comments_of_the_package_are_in_plain_words():
    found = {str(path.relative_to(ROOT)): list(faults(prose(path))) for path in PACKAGE}
    assert {path: hits for path, hits in found.items() if hits} == {}


def test_pages_are_in_plain_words():
    pages = [page for page in PAGES if page not in (RECORDED, ROOT / "CONTRIBUTING.md")]
    found = {str(page.relative_to(ROOT)): list(faults(prose(page))) for page in pages}
    assert {page: hits for page, hits in found.items() if hits} == {}


def test_the_newest_changes_are_in_plain_words():
    assert list(faults(newest_changes())) == []


def test_names_of_tests_are_in_plain_words():
    found = {str(path.relative_to(ROOT)): list(faults(names(path))) for path in TESTS}
    assert {path: hits for path, hits in found.items() if hits} == {}


@pytest.mark.parametrize(
    ("line", "hit"),
    [
        ("the sidecar lies beside it", "'beside' (write next to"),
        ("the cause and the mend", "'mend' (write fix"),
        ("12 images a second", "'images a second' (write images per second"),
    ],
)
def test_a_word_is_found_with_what_to_write_in_its_place(line, hit):
    assert hit in "".join(faults([(1, line)]))


@pytest.mark.parametrize("line", ["it names both", "the standard library", "12 images per second", "untold"])
def test_plain_words_pass(line):
    assert list(faults([(1, line)])) == []
