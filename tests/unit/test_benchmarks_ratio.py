import json

from benchmarks import decode, ratio


def test_cases_take_turns_after_the_warm_ups():
    calls = []
    samples = ratio.time_ms({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4)
    assert "".join(calls) == "ab" * (ratio.WARM_UPS + 4)
    assert [len(values) for values in samples.values()] == [4, 4]


def test_a_row_says_how_many_times_faster_ours_is():
    record = ratio.row("a question", {"ours": [1.0, 2.0, 9.0], "theirs": [5.0, 7.0, 6.0]}, "ours")
    assert record["median_ms"] == {"ours": 2.0, "theirs": 6.0}
    assert record["times_faster"] == {"theirs": 3.0}
    assert "ours is 3.0 times as fast" in ratio.render([record])


def test_results_are_written_under_new_names(tmp_path, monkeypatch):
    monkeypatch.setattr(ratio, "RESULTS", tmp_path)
    first, second = (ratio.write("what", [{"number": number}], ["numpy"]) for number in (1, 2))
    assert first != second
    record = json.loads(first.read_text())
    assert record["rows"] == [{"number": 1}]
    assert {"numpy"} == set(record["packages"])
    assert {"cpu", "cores", "load_average"} <= set(record["machine"])


def test_the_compared_decodings_agree_and_are_timed(monkeypatch):
    monkeypatch.setattr(decode, "ROUNDS", 2)
    record = decode.measure_colours(decode.scene_label(33, 47))
    assert all(len(values) == 2 for values in record["samples_ms"].values())
