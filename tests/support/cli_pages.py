"""Render docs/cli.md and docs/cli/ from the help texts: one page per command, one row per option."""

from __future__ import annotations

import inspect

import click
import cloup

from fcn_deploy.cli.main import SECTIONS, cli
from tests.support import ROOT

INDEX = ROOT / "docs" / "cli.md"
FOLDER = ROOT / "docs" / "cli"
NOTE = "<!-- Generated from the help texts by `make docs`. -->\n"


def pages() -> dict[str, str]:
    """Return the text of each page by its path within docs/."""
    made = {f"cli/{name}.md": _page(name) for lines in SECTIONS.values() for name in lines}
    return {"cli.md": _index(), **made}


def _index() -> str:
    parts = [
        NOTE,
        "# Commands and their options\n",
        "What all commands share is in [command-line.md](command-line.md).\n",
    ]
    for title, lines in SECTIONS.items():
        rows = [f"| [{name}](cli/{name}.md) | {line} |" for name, line in lines.items()]
        parts.append("\n".join([f"## {title}\n", "| command | |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def _page(name: str) -> str:
    command = cli.get_command(click.Context(cli, info_name="fcn-deploy"), name)
    assert isinstance(command, cloup.Command)
    context = cloup.Context(command, info_name=name, **command.context_settings)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [NOTE, f"# fcn-deploy {name}\n", f"{inspect.cleandoc(command.help or '').replace(chr(8), '')}\n"]
    parts.append(f"Usage: `{usage}`\n")
    arguments = [param for param in command.params if isinstance(param, cloup.Argument)]
    parts += [_table("argument", [param.get_help_record(context) for param in arguments])]
    for group in [*command.option_groups, command.get_ungrouped_options(context)]:
        title = group.title if isinstance(group, cloup.OptionGroup) else "Other options"
        records = [param.get_help_record(context) for param in getattr(group, "options", group)]
        parts += [f"## {title}\n", _table("option", records)]
    examples = getattr(command, "examples", ())
    parts += ["## Examples\n", "".join(f"    {line}\n" for each in examples for line in each.splitlines())]
    return "\n".join(parts)


def _table(kind: str, records: list[tuple[str, str] | None]) -> str:
    rows = [_row(names, text) for names, text in filter(None, records) if not names.endswith("--help")]
    return "\n".join([f"| {kind} | |", "|---|---|", *rows, ""])


def _row(names: str, text: str) -> str:
    cells = (f"`{names}`", " ".join(text.split()).replace("[", "\\["))  # or it may be read as a link
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Write the pages, and remove those of commands that are gone."""
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for page in FOLDER.glob("*.md"):
        if f"cli/{page.name}" not in made:
            page.unlink()
    for name, text in made.items():
        (INDEX.parent / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
