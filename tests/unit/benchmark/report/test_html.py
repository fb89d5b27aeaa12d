"""The page of a benchmark: whole, without scripts, readable in both themes."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from fcn_deploy.benchmark.record.measurement import Measurement
from fcn_deploy.benchmark.report.html import NONE_DIFFERED, NOT_KEPT, render_html
from fcn_deploy.benchmark.worst_frames import WorstFrames
from fcn_deploy.data.sample import Sample
from tests.support.bench_records import RECORD, REFERENCE, ROWS, WORSE, latency, remeasured, with_rows

EVIL = "</style><script>alert(1)</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def frames(name: str = "a.png", classes: tuple[str, ...] = ("road", "pole")) -> WorstFrames:
    """The row at place 1 differs from the reference in 2 of 35 pixels."""
    kept = WorstFrames()
    kept.begin(classes, ((128, 64, 128), (255, 255, 0)), [0, 1])
    reference = np.zeros((5, 7), np.uint8)
    labels = reference.copy()
    labels[0, :2] = 1
    kept.offer(1, Sample(np.full((5, 7, 3), 90, np.uint8), reference, name), reference, labels)
    return kept


def with_sizes():
    resized = tuple(
        Measurement((n, h, w), latency((5, 6, 7)), accuracy=WORSE) for h, w in ((33, 47), (66, 94)) for n in (1, 4)
    )
    return with_rows(*(remeasured(row, resized=resized) if row.status == "ok" else row for row in ROWS))


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(with_sizes(), frames())


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_a_script(page):
    found = Page(page)
    assert found.count("script") == found.count("link") == found.count("iframe") == 0
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on")]
    sources = [attributes[name] for _, attributes in found.tags for name in ("src", "href") if name in attributes]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert all(url.startswith('"data:') for url in re.findall(r"url\(([^)]{0,10})", page))
    assert "@import" not in page
    policies = [a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_whatever_a_user_named_is_text():
    evil = replace(
        with_rows(*ROWS[:2], replace(ROWS[2], runner=EVIL, reason=EVIL), replace(ROWS[0], runner=EVIL)),
        data=replace(RECORD.data, name=EVIL, classes=(EVIL, "pole")),
        model=replace(RECORD.model, name=EVIL),
        environment=RECORD.environment | {"cpu": EVIL},
    )
    found = Page(render_html(evil, frames(EVIL, (EVIL, "pole"))))
    assert found.count("script") == 0
    assert not [a for _, a in found.tags if "onerror" in a or a.get("src") == "x"]
    assert found.count("style") == 1
    # title, h1, headline, classes, runner, frame, processor
    assert found.text.count(EVIL) >= 7


def test_every_plot_is_well_formed_and_says_in_words_what_it_shows(page):
    drawings = re.findall(r"<figure[^>]*>(<svg.*?</svg>)</figure>", page, re.DOTALL)
    # medians, speed against accuracy for desk and phone, rounds; 2 rows' classes; ms of 2 batches, mIoU; confusions
    assert len(drawings) == 3 + 1 + 2 + 3 + 1
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        title, description = root[0], root[1]
        assert (title.tag[-5:], description.tag[-4:]) == ("title", "desc")
        assert title.text
        assert description.text
        assert not re.search(r"nan|inf|None", "".join(" ".join(node.attrib.values()) for node in root.iter()))


def test_the_tables_of_the_terminal_are_on_the_page(page):
    text = " ".join(Page(page).text.split())
    for words in ("Speed", "onnxruntime", "unstable", "58.33", "-32.12", "Sizes and batches", "66x94", "Files made"):
        assert words in text
    assert "CUDAExecutionProvider did not start: libcublasLt.so.13" in text


def test_a_frame_has_five_pictures_and_its_photograph_is_stored_once(page):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert captions == ["image", "ground truth", "pytorch", "onnxruntime", "difference"]
    assert page.count("data:image/jpeg") == 1
    # a number stays on the line of its per cent sign
    assert "2 pixels differ, 5.714\u00a0%: 2 where only the reference is right" in page


def test_a_click_enlarges_a_picture_without_a_script(page):
    assert Page(page).count("details") >= 5
    zooms = re.findall(r'<details class="zoom" name="zoom"><summary[^>]*>(.*?)</summary></details>', page, re.DOTALL)
    assert len(zooms) == page.count("<figcaption>") == 5
    assert all("click to close" in zoom for zoom in zooms)


def test_the_heads_have_units_and_meanings_that_can_be_read_without_a_pointer(page):
    assert '<abbr title="nine rounds in ten took less">p90</abbr><small>ms</small>' in page
    assert "<dt>p90 <small>ms</small></dt><dd>nine rounds in ten took less</dd>" in page
    assert "<dt>change <small>points</small></dt><dd>boundary mIoU more or less than PyTorch&#39;s</dd>" in page
    assert "<dd>the same within 3 px of a change of PyTorch&#39;s label</dd>" in page


def test_the_command_date_files_and_machine_of_the_run_are_on_the_page_once():
    command = "fcn-deploy bench 'a b.onnx'"
    text = " ".join(Page(render_html(replace(RECORD, command=command))).text.split())
    for words in (command, "2 January 2026, 03:04 UTC", "SHA-256 000000000000", "Some CPU"):
        assert text.count(words) == 1
    assert "4 rounds of batch 2, runners in turn, 2 CPU threads each" in text


def test_a_notebook_shows_a_record_as_its_page_in_a_frame_of_its_own():
    evil = replace(RECORD, model=replace(RECORD.model, name=EVIL))
    ((tag, attributes),) = Page(evil._repr_html_()).tags  # nothing but the frame: no style that reaches the notebook
    assert tag == "iframe"
    assert attributes["srcdoc"] == render_html(evil)
    assert attributes["sandbox"] == ""
    assert "src" not in attributes


def test_a_page_made_from_a_record_says_where_its_frames_are():
    assert NOT_KEPT in Page(render_html(RECORD)).text
    assert NONE_DIFFERED in Page(render_html(RECORD, WorstFrames())).text


@pytest.mark.parametrize(
    "record",
    [
        replace(with_rows(remeasured(ROWS[0], accuracy=None)), reference=None, reference_reason="no card"),
        with_rows(*ROWS[2:]),
        with_rows(),
        replace(RECORD, rounds=(), shapes=(), rows=tuple(remeasured(row, latency=None) for row in ROWS)),
        with_rows(ROWS[0], remeasured(ROWS[1], accuracy=None)),
        replace(RECORD, reference=replace(RECORD.reference, accuracy=None)),
        with_rows(ROWS[0], remeasured(ROWS[1], accuracy=REFERENCE)),
    ],
    ids=["no labels", "none ran", "no rows", "not timed", "agreement alone", "no own accuracy", "no change"],
)
def test_a_page_is_made_of_what_there_is(record):
    assert Page(render_html(record)).count("h1") == 1
