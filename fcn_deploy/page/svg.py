"""Build SVG as safe markup: plain text is escaped wherever it comes in, colours come from the page's CSS variables."""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

# Widths that stay readable on a phone without scaling the letters; wide pages place several next to each other.
WIDTH = 360
SERIES = 8
LETTER = 6.6  # pixels, about, of a small letter
MARGIN = 12  # around a picture in a file of its own

STYLE = Markup("""\
.ink{fill:var(--ink)}.faint{fill:var(--faint)}.rule{stroke:var(--rule);stroke-width:1}
.base{stroke:var(--faint);stroke-width:1}.whisker{stroke:var(--ink);stroke-width:1.25;fill:none}
.front{stroke:var(--faint);stroke-width:1;stroke-dasharray:3 3;fill:none}
.line{fill:none;stroke:var(--s);stroke-width:2}.mark{fill:var(--s);stroke:var(--paper);stroke-width:1}
.again .line,.line.again{stroke-dasharray:6 3}.mark.again{fill:var(--paper);stroke:var(--s);stroke-width:2}
.rim{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}.pointer{stroke:var(--faint);stroke-width:.75}
.area{fill:var(--s);fill-opacity:.3;stroke:var(--s);stroke-width:1.25}.bar{fill:var(--s)}.tick{stroke:var(--s);stroke-opacity:.5}
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}.small{font-size:11px}.strong{font-weight:600}
""")

LIGHT = (
    "--ink:#1f2328;--faint:#59636e;--rule:#dfe3e8;--paper:#ffffff;--good:#dff3e4;--warn:#fff1d6;--soft:#f5f7f9;--s0:#6e7781;--s1:#0b6bcb;--s2:#c2560a;--s3:#1a7f4b;"
    "--s4:#8250df;--s5:#0e7c86;--s6:#cf222e;--s7:#8a6116"
)
DARK = (
    "--ink:#e6edf3;--faint:#9198a1;--rule:#30363d;--paper:#0d1117;--good:#12351f;--warn:#3a2a08;--soft:#161b22;--s0:#9198a1;--s1:#58a6ff;--s2:#f0883e;--s3:#3fb950;"
    "--s4:#bc8cff;--s5:#39c5cf;--s6:#ff7b72;--s7:#d2a86a"
)
THEME = Markup(
    f":root{{color-scheme:light dark;{LIGHT}}}@media(prefers-color-scheme:dark){{:root{{{DARK}}}}}\n"
    + "".join(f".s{index}{{--s:var(--s{index})}}" for index in range(SERIES))
    + "\n"
)


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """Build one element. Children that are not Markup are text and are escaped, as attribute values are.

    `class_` is class; an underscore between words is a hyphen (`text_anchor`).
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _value(value)) for key, value in attributes.items()
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inside)


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def drawing(width: float, height: float, title: str, description: str, *children: str, alone: bool = False) -> Markup:
    """Build a whole picture that scales with its column and is read aloud as `title` and `description`.

    Args:
        alone: for a file of its own, which carries colours and fonts itself.
    """
    around = MARGIN if alone else 0
    box = -around, -around, width + 2 * around, height + 2 * around
    ground: tuple[Markup, ...] = ()
    size: dict[str, str | float] = {}
    if alone:  # on paper of its own: who shows the file may follow another theme than the system's
        paper = element("rect", x=box[0], y=box[1], width=box[2], height=box[3], rx=6.0, fill="var(--paper)")
        ground, size = (element("style", THEME + STYLE), paper), {"width": box[2], "height": box[3]}
    return element(
        "svg", element("title", title), element("desc", description), *ground, *children,
        xmlns="http://www.w3.org/2000/svg", viewBox=" ".join(f"{edge:g}" for edge in box), role="img", **size,
    )  # fmt: skip


def text(x: float, y: float, words: str, class_: str = "ink", anchor: str = "start") -> Markup:
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str = "rule") -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: list[tuple[float, float]], class_: str) -> Markup:
    return element("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=class_)


def marker(x: float, y: float, series: int, hint: str = "") -> Markup:
    """Draw the shape and colour of a series: two cues, for readers who see no colours; `hint` is a tooltip.

    The ninth series has the first one's shape and colour again, and is hollow.
    """
    drawn = _shape(x, y, series % 4, 5.0)
    title = (element("title", hint),) if hint else ()
    again = " again" if series // SERIES % 2 else ""
    return element("path", *title, d=drawn, class_=f"mark{again} s{series % SERIES}")


def _shape(x: float, y: float, kind: int, r: float) -> str:
    if kind == 0:
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    corners = (
        ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        ((0.0, -1.15), (1.15, 0.9), (-1.15, 0.9)),
        ((0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)),
    )[kind - 1]
    return "M" + "L".join(f"{x + r * dx:.1f} {y + r * dy:.1f}" for dx, dy in corners) + "Z"


def width_of(words: str) -> float:
    """Return about how many pixels small letters take; those of East Asia are twice as wide."""
    return sum(2 * LETTER if unicodedata.east_asian_width(letter) in "WF" else LETTER for letter in words)


def fitted(words: str, pixels: float) -> str:
    """Cut the middle out of words that are wider: file and runner are at the ends of a name."""
    if width_of(words) <= pixels:
        return words
    kept = next((keep for keep in range(len(words) - 1, 1, -1) if width_of(_cut(words, keep)) <= pixels), 1)
    return _cut(words, kept)


def _cut(words: str, keep: int) -> str:
    """Return `keep` letters of both ends, with an ellipsis between them."""
    return f"{words[: keep // 2]}…{words[len(words) - (keep - keep // 2) :]}"


def shorten(words: str, most: int) -> str:
    """Cut to at most `most` characters, the last an ellipsis where some were left out."""
    return words if len(words) <= most else words[: most - 1] + "…"
