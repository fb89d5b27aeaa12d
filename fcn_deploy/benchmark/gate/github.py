"""Write the checks of a gate as annotations of GitHub Actions, and its page of a job.

A line `::error title=TITLE::MESSAGE` on either output of a step becomes an annotation of the run; `%`, line ends and,
in the title, `:` and `,` are escaped ("Workflow commands for GitHub Actions").
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from fcn_deploy.benchmark.gate.result import GateResult
from fcn_deploy.system.escape import visible
from fcn_deploy.system.files import output_error

MOST = 10  # GitHub shows so many annotations of one kind in a step


def in_actions(environment: Mapping[str, str]) -> bool:
    """Return whether GitHub Actions runs this process."""
    return environment.get("GITHUB_ACTIONS") == "true"


def annotation_lines(gate: GateResult) -> tuple[str, ...]:
    """Return a line for each broken limit and each row that failed, and one for each limit that was not judged."""
    errors = [*_commands("error", gate.broken, "fcn-deploy: limit broken")]
    errors += _commands("error", gate.errors, "fcn-deploy: row failed")
    kind = "error" if gate.strict else "warning"
    unjudged = [*_commands(kind, gate.unjudged, "fcn-deploy: limit not judged")]
    if gate.strict:
        return tuple([*errors, *unjudged][:MOST])
    return (*errors[:MOST], *unjudged[:MOST])


def add_summary(environment: Mapping[str, str], gate: GateResult, markdown: Callable[[], str]) -> None:
    """Append the gate's line and the tables to the job's page, the file that GITHUB_STEP_SUMMARY names, if it is set.

    Raises:
        OutputError: the file cannot be written.
    """
    path = environment.get("GITHUB_STEP_SUMMARY") if in_actions(environment) else None
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8", opener=_open_at_once) as page:
            page.write(visible(f"**{gate.line}**\n\n{markdown()}\n"))
    except OSError as error:
        raise output_error(Path(path), error) from error


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for the reader of a pipe: OSError if there is none."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def _commands(kind: str, lines: tuple[str, ...], title: str) -> Iterator[str]:
    for line in lines:
        yield f"::{kind} title={_property(title)}::{_data(line)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
