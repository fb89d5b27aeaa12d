"""-v and -q: what each of them adds to standard error or keeps from it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from fcn_deploy.cli import console
from fcn_deploy.cli.main import cli
from fcn_deploy.cli.options.command import cli_command


@cli_command(examples=())
def work() -> None:
    progress = console.progress()
    progress.say("a notice")
    with progress.task("reading", 1) as task:
        task.advance()
    console.notice("wrote x.json")
    print("the result")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(work, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout == "the result\n"
    return result


def test_a_terminal_gets_breaks_between_words_and_a_pipe_whole_lines(capsys, monkeypatch):
    line = "FAIL: broken against PyTorch: onnxruntime:int8: mean IoU fell by 0.52 points, 60.85 to 60.33"
    assert console.fitted(line) == line
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    first, second = console.fitted(line).splitlines()
    assert first + second[1:] == line


def test_notices_are_printed_and_steps_are_not_timed():
    assert run().stderr == "a notice\nwrote x.json\n"


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet_leaves_the_result_alone(flag):
    assert run(flag).stderr == ""


@pytest.mark.parametrize("flag", ["-v", "--verbose"])
def test_verbose_adds_versions_and_the_time_of_each_step(flag):
    versions, *rest = run(flag).stderr.splitlines()
    assert versions.startswith("fcn-deploy ")
    assert ", torch " in versions
    assert [line.partition(":")[0] for line in rest] == ["a notice", "reading", "wrote x.json", "work"]
    assert all(line.endswith(("s", "s in all")) for line in (rest[1], rest[3]))


def test_flags_do_not_stay_for_the_next_call():
    run("-q")
    assert run().stderr == "a notice\nwrote x.json\n"


@pytest.mark.parametrize("arguments", [("-v", "inspect", "demo"), ("inspect", "demo", "-v")])
def test_verbose_works_before_or_after_the_command(arguments):
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert result.stderr.startswith("fcn-deploy ")
    assert "inspect: " in result.stderr.splitlines()[-1]


def test_verbose_and_quiet_together_are_a_usage_error():
    for arguments in (["-v", "inspect", "demo", "-q"], ["inspect", "demo", "-v", "-q"]):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 2
        assert "exclude each other" in result.stderr


def test_verbose_shows_where_an_expected_error_was_raised(tmp_path):
    missing = str(tmp_path / "none.onnx")
    assert "Traceback" in CliRunner().invoke(cli, ["-v", "inspect", missing]).stderr
    assert "Traceback" not in CliRunner().invoke(cli, ["inspect", missing]).stderr


@cli_command(examples=())
def repeat() -> None:
    progress = console.progress()
    for line in ("a notice", "another", "a notice"):
        progress.say(line)


def test_a_notice_that_comes_again_is_printed_once():
    assert CliRunner().invoke(repeat).stderr == "a notice\nanother\n"


def test_names_that_are_markup_or_escape_sequences_are_shown_as_they_are(capsys):
    from rich.table import Table
    from rich.text import Text

    name = "m[/x][bold]:car:\x1b[31m\udcff"
    table = Table("node")
    table.add_row(name)
    console.show(name, table, Text(name))
    found = capsys.readouterr().out
    assert found.count("m[/x][bold]:car:\\x1b[31m\\xff") == 3
    assert "\x1b[31m" not in found


def test_a_bar_of_a_name_that_is_markup_is_drawn(monkeypatch, capsys):
    with console.TerminalProgress().task("reading [/x] \x1b[31m", 2) as task:
        task.advance(note="[/y]")


def test_a_report_is_written_and_printed_without_what_a_terminal_obeys(tmp_path, capsys):
    console.leave(str(tmp_path / "r.md"), "a \x1b[31m \udcff\n")
    console.leave("-", "a \x1b[31m\n")
    assert (tmp_path / "r.md").read_text(encoding="utf-8") == "a \\x1b[31m \\xff\n"
    assert capsys.readouterr().out == "a \\x1b[31m\n"
