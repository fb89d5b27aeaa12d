"""Stop a command at one moment, run it again, and say what was torn, lost, left behind or wrong."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.hostile.kills import server, shim
from tests.hostile.kills.commands import Writing, write_inputs
from tests.hostile.kills.files import Files, contents, is_hidden, shown
from tests.hostile.kills.shim import Fault
from tests.hostile.line_server import LineServer

KINDS = ("torn", "lost", "left behind", "wrong exit code", "not resumable", "hang")
# What a process does not survive and cannot answer; SIGXCPU is what `ulimit -t` sends.
ENDING_AT_ONCE = (signal.SIGKILL, signal.SIGXCPU)


@dataclass(frozen=True)
class Moment:
    """When and how a command is stopped: at an operation on files, or after a time."""

    fault: Fault = field(default_factory=Fault)
    after_s: float | None = None
    signal: int = 0

    @property
    def sent(self) -> int:
        return self.signal or self.fault.signal

    def __str__(self) -> str:
        name = signal.Signals(self.sent).name if self.sent else os.strerror(self.fault.error)
        return f"{name} at " + (f"{self.after_s:.4f} s" if self.after_s is not None else f"operation {self.fault.at}")


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nothing disturbs leaves, how long it takes and how many operations on files it does."""

    files: Files
    operations: int
    seconds: float


class Bench:
    """Folders and a server for the attempts on one command."""

    def __init__(self, command: Writing, base: Path) -> None:
        self.command, self.base = command, base
        self.own, self.root = base / "own", base / "root"
        self.out, self.tmp, self.home = (self.root / name for name in ("out", "tmp", "home"))
        write_inputs(self.own, f"{command.arguments} {command.rival}")
        self.own_files = contents(self.own)
        self._old = base / "old"
        self._plan = shim.Plan(base / "plan")
        own = {"KILLS_PLAN": str(self._plan.path), "LD_PRELOAD": str(shim.build())}
        self._server = LineServer("tests.hostile.kills.server", str(self._plan.path), environment=own)

    def close(self) -> None:
        self._server.close()

    def empty(self) -> None:
        """Leave what `keep` has kept, else nothing."""
        shutil.rmtree(self.root, ignore_errors=True)
        if self._old.exists():
            shutil.copytree(self._old, self.root)
        for folder in (self.out, self.tmp, self.home):
            folder.mkdir(parents=True, exist_ok=True)

    def job(self, moment: Moment = Moment(), *, rival: bool = False, **more: Any) -> dict[str, Any]:
        environment = {
            "HOME": str(self.home), "TMPDIR": str(self.tmp), "XDG_CACHE_HOME": str(self.home / ".cache"),
            "FCN_DEPLOY_PROGRESS": "0",
        }  # fmt: skip
        words = self.command.words(self.own, self.out, rival=rival)
        more |= {"fault": moment.fault, "after_s": moment.after_s, "signal": moment.signal}
        return server.job(words, self.root, environment, **more)

    def run(self, moment: Moment = Moment(), **more: Any) -> dict[str, Any]:
        done: dict[str, Any] = self.together([self.job(moment, **more)])[0]
        return done

    def together(self, jobs: Sequence[dict[str, Any]]) -> Any:
        """Run jobs at once; return how each ended."""
        return self._server.ask({"jobs": jobs})

    def of_rival(self) -> Files:
        """Return what the command's rival leaves."""
        self.empty()
        self.expect(self.run(rival=True))
        return contents(self.root)

    def keep(self) -> None:
        """Let every later attempt find what is there now."""
        shutil.copytree(self.root, self._old)

    def undisturbed(self) -> Undisturbed:
        """Run the command twice, the second time with what it needs imported already."""
        self.empty()
        self.expect(self.run(modules=True))
        self._server.ask({"import": Path(f"{self.root}.modules").read_text(encoding="utf-8").split()})
        self.empty()
        done = self.run()
        self.expect(done)
        return Undisturbed(contents(self.root), done["operations"], done["seconds"])

    def expect(self, done: Mapping[str, Any]) -> None:
        if done["code"] not in self.command.codes:
            raise AssertionError(f"exit code {done['code']}: {self.errors()}")

    def errors(self, number: int = 0) -> str:
        return Path(f"{self.root}.{number}.err").read_text(encoding="utf-8", errors="replace").strip()

    def attempt(self, moment: Moment, wanted: Undisturbed, old: Files = MappingProxyType({})) -> list[str]:
        """Stop the command at a moment and run it again; what went wrong, each line starting with its kind."""
        self.empty()
        done = self.run(moment)
        if not done["happened"]:
            return []
        stopped = contents(self.root)
        found = [
            *self._ending(moment, done),
            *self.whole(stopped, [wanted.files, old], stopped=done["code"] not in self.command.codes),
            *(f"lost: {name} of the older run" for name in sorted(old.keys() - stopped.keys())),
        ]
        if done["code"] in self.command.codes:
            found += [f"lost: {name}" for name in self._missing(stopped, wanted) if not self.command.spares(name)]
        if moment.sent not in ENDING_AT_ONCE:
            found += [f"left behind: {name}" for name in self._hidden(stopped, {**wanted.files, **old})]
        if stopped not in ({}, wanted.files, old):
            found += self._next_run(wanted, old)
        if contents(self.own) != self.own_files:
            found.append("lost: the user's files changed")
        return [f"{line} ({moment}, {done['what']})" for line in found]

    def _next_run(self, wanted: Undisturbed, old: Files) -> Iterator[str]:
        done = self.run()
        after = contents(self.root)
        if done["hung"]:
            yield "hang: the next run"
        elif done["code"] not in self.command.codes:
            yield f"not resumable: exit code {done['code']}: {self.errors()[-300:]}"
        yield from self.whole(after, [wanted.files], stopped=False)
        yield from (f"lost: {name} after the next run" for name in self._missing(after, wanted))
        yield from (
            f"left behind: {name} after the next run"
            for name in sorted(after.keys() - wanted.files.keys() - old.keys())
        )

    def _ending(self, moment: Moment, done: Mapping[str, Any]) -> Iterator[str]:
        code, errors = done["code"], self.errors()
        last = errors.splitlines()[-1:] or [""]
        if done["hung"]:
            yield "hang: the stopped run"
        if done["left"]:
            yield f"left behind: {done['left']} processes"
        if "Traceback" in errors:
            yield f"wrong exit code: traceback: {errors[-600:]}"
        if moment.sent in ENDING_AT_ONCE:
            if code not in (-moment.sent, *self.command.codes):
                yield f"wrong exit code: {code}"
        elif moment.sent:
            if code not in (128 + moment.sent, *self.command.codes):
                yield f"wrong exit code: {code}: {errors[-300:]}"
            elif code == 128 + moment.sent and not last[0].startswith(("interrupted", self.command.stopped)):
                yield f"wrong exit code: the last line is {last[0]!r}"
        elif code not in (1, *self.command.codes):
            yield f"wrong exit code: {code}: {errors[-300:]}"
        elif code == 1 and not last[0].startswith("error: "):
            yield f"wrong exit code: the last line is {last[0]!r}"

    def whole(self, files: Files, allowed: Sequence[Files], *, stopped: bool) -> Iterator[str]:
        """Yield each output that is not as one of `allowed` has it; where they belong together, not as the same one."""
        for name, data in files.items():
            own = name.removeprefix("out/")
            check = self.command.check_of(own, stopped=stopped)
            known = [each[name] for each in allowed if name in each]
            if not name.startswith("out/") or is_hidden(own):
                continue
            if check is not None:
                try:
                    check(data)
                except Exception as error:
                    yield f"torn: {own}: {error}"
            elif known and data not in known:
                yield f"torn: {own} differs from that of an undisturbed run"
        if self.command.one and any(shown(files).values()) and shown(files) not in [shown(each) for each in allowed]:
            yield "torn: the outputs are of different runs"

    def _missing(self, files: Files, wanted: Undisturbed) -> list[str]:
        return sorted(name.removeprefix("out/") for name in wanted.files.keys() - files.keys())

    def _hidden(self, files: Files, wanted: Files) -> list[str]:
        """Return files that are no outputs."""
        return sorted(
            name for name in files.keys() - wanted.keys() if not self.command.keeps(name.removeprefix("out/"))
        )
