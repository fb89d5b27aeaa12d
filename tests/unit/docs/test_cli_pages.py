"""docs/cli.md and docs/cli/ say what the help texts say."""

from __future__ import annotations

from fcn_deploy.cli.main import SECTIONS
from tests.support import cli_pages


def test_the_pages_are_those_of_the_help_texts():
    made = cli_pages.pages()
    written = {name: (cli_pages.INDEX.parent / name).read_text(encoding="utf-8") for name in made}
    assert [name for name in made if made[name] != written[name]] == [], "run `make docs`"
    assert {page.stem for page in cli_pages.FOLDER.iterdir()} == {name for lines in SECTIONS.values() for name in lines}


def test_a_page_has_each_option_under_its_heading_and_the_examples():
    page = cli_pages.pages()["cli/package.md"]
    heading, _, rest = page.partition("## Result")
    assert "| `--instances N` |" in heading
    assert "| `-o, --output DIR` | Triton model repository to write into. \\[required] |" in rest
    assert "\n    fcn-deploy package " in rest
    assert "\\|" in cli_pages.pages()["cli/predict.md"], "a bar in a table must be escaped"
