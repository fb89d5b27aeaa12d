"""Draw a confusion matrix as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from fcn_deploy.page.svg import drawing, element, shorten, text

CELL, NAME, HEAD, TITLE = 30, 112, 84, 22
MOST = 30  # classes; of more, those with the most wrong pixels are drawn
DARK = 0.55  # opacity from which on the figure in a cell has the colour of the paper
LETTERS = 16
NOTE = (
    "Each row divides the pixels of a true class among the classes that were predicted, in per cent: the diagonal is "
    "recall. A cell is as dark as the square root of its share, so that small shares show; its tooltip has the pixels."
)


def heat_map(classes: Sequence[str], counts: Sequence[Sequence[int]], title: str) -> Markup:
    """Draw int[C, C] counts, row = true class, column = predicted class, as shares of their row."""
    matrix = np.array(counts, np.int64).reshape(len(classes), len(classes))
    shown = _most_wrong(matrix)
    parts = [text(0, 14, title, "ink strong")]
    for place, label in enumerate(shown):
        middle = CELL * place + CELL / 2
        name = shorten(classes[label], LETTERS)
        parts.append(text(NAME - 6, TITLE + HEAD + middle + 4, name, "ink small", "end"))
        x, y = NAME + middle + 4, TITLE + HEAD - 6
        parts.append(element("text", name, x=x, y=y, class_="ink small", transform=f"rotate(-60 {x:g} {y:g})"))
    parts += [
        _cell(matrix, (row, column), (classes[true], classes[predicted]), (true, predicted))
        for row, true in enumerate(shown)
        for column, predicted in enumerate(shown)
    ]
    about = "; ".join(f"{classes[label]}: {_words(matrix, label, classes)}" for label in shown)
    return drawing(map_width(len(classes)), TITLE + HEAD + CELL * len(shown), title, f"{about}.", *parts)


def map_width(classes: int) -> float:
    """Return the width of the map in pixels."""
    return NAME + CELL * min(classes, MOST) + HEAD / 2


def left_out(classes: int) -> int:
    """Return how many classes the map does not show."""
    return max(0, classes - MOST)


def _most_wrong(matrix: NDArray[np.int64]) -> list[int]:
    """Return the classes to draw, in their order."""
    if len(matrix) <= MOST:
        return list(range(len(matrix)))
    wrong = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    return sorted(np.argsort(-wrong, kind="stable")[:MOST].tolist())


def _cell(matrix: NDArray[np.int64], place: tuple[int, int], names: tuple[str, str], labels: tuple[int, int]) -> Markup:
    row, column = place
    pixels, total = int(matrix[labels]), int(matrix[labels[0]].sum())
    share = pixels / total if total else 0.0
    x, y = NAME + CELL * column, TITLE + HEAD + CELL * row
    opacity = share**0.5
    hint = element("title", f"{names[0]} predicted as {names[1]}: {pixels:,} of {total:,} pixels ({share:.2%})")
    square = element(
        "rect", x=x, y=y, width=CELL - 1, height=CELL - 1, fill="var(--s1)", fill_opacity=round(opacity, 3)
    )
    frame = element("rect", x=x, y=y, width=CELL - 1, height=CELL - 1, fill="none", class_="rule")
    figure = ""
    if share >= 0.005:
        fill = "var(--paper)" if opacity >= DARK else "var(--ink)"
        figure = element(
            "text", f"{100 * share:.0f}", x=x + (CELL - 1) / 2, y=y + CELL / 2 + 4, class_="small", fill=fill,
            text_anchor="middle",
        )  # fmt: skip
    return element("g", hint, square, frame, figure)


def _words(matrix: NDArray[np.int64], label: int, classes: Sequence[str]) -> str:
    """Return a class's recall, and what it is most often taken for."""
    row = matrix[label]
    total = int(row.sum())
    if not total:
        return "no true pixels"
    others = row.copy()
    others[label] = 0
    taken = int(others.argmax())
    found = f"{row[label] / total:.1%} recognised"
    return found if not others[taken] else f"{found}, {others[taken] / total:.1%} taken for {classes[taken]}"
