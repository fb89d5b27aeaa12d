"""What a page says of its run."""

from __future__ import annotations

from dataclasses import replace

from fcn_deploy.benchmark.report.run_facts import moment, run_facts, subject
from tests.support.bench_records import RECORD


def test_what_the_record_does_not_hold_is_left_out():
    assert "Command" not in dict(run_facts(RECORD))
    assert dict(run_facts(replace(RECORD, command="fcn-deploy bench")))["Command"] == ["fcn-deploy bench"]
    bare = dict(run_facts(replace(RECORD, environment={})))
    assert bare["Machine"] == ["no GPU: nothing was measured on one"]
    assert "Versions" not in bare


def test_processor_gpus_and_versions_are_each_a_line():
    environment = RECORD.environment | {"gpus": ["H100", "H100"], "memory_bytes": 16 * 10**9, "fcn_deploy": "1.2"}
    found = dict(run_facts(replace(RECORD, environment=environment)))
    assert found["Machine"] == ["Some CPU, 2 cores, 16 GB of memory", "H100, H100"]
    assert found["Versions"] == ["fcn-deploy 1.2, torch 2.9, onnxruntime 1.30"]


def test_every_file_is_named_with_its_size_and_digest():
    other = replace(RECORD.model, name="n.onnx", size_bytes=2_500_000, sha256="ab" * 32)
    files = dict(run_facts(replace(RECORD, others=(other,))))["Files"]
    assert files == ["m.onnx: 0.0 MB, SHA-256 000000000000", "n.onnx: 2.5 MB, SHA-256 abababababab"]


def test_a_date_is_written_in_words_and_another_text_as_it_is():
    assert moment("2026-11-27T13:52:09+00:00") == "27 November 2026, 13:52 UTC"
    assert moment("yesterday") == "yesterday"


def test_the_subject_is_network_and_images():
    assert subject(RECORD) == "fcn8s, 2 classes, on 2 images of list.txt (33x47)"
