"""Tables on standard output: coloured and as wide as the terminal, plain and 100 columns wide in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

PIPE_WIDTH = 100


def print_table(content: RenderableType) -> None:
    """Print a rich renderable without its trailing blanks."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    console.print(content)
