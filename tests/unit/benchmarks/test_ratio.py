import numpy as np

from benchmarks import decode, ratio


def test_cases_take_turns_after_the_warm_ups():
    calls = []
    samples = ratio.time_ms({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4)
    assert "".join(calls) == "ab" * (ratio.WARM_UPS + 4)
    assert [len(values) for values in samples.values()] == [4, 4]


def test_pauses_are_not_timed(monkeypatch):
    naps = []
    monkeypatch.setattr(ratio.time, "sleep", naps.append)
    ratio.time_ms({"a": lambda: None, "b": lambda: None}, rounds=3, warm_ups=0, pause_s=0.25)
    assert naps == [0.25] * 6


def test_a_short_call_settles_untimed_and_a_long_one_does_not(monkeypatch):
    now = [0]
    monkeypatch.setattr(ratio.time, "perf_counter_ns", lambda: now[0])
    monkeypatch.setattr(ratio.time, "perf_counter", lambda: now[0] / 1e9)
    calls = {"short": 0, "long": 0}

    def call(name, ms):
        calls[name] += 1
        now[0] += int(ms * 1e6)

    cases = {"short": lambda: call("short", 2), "long": lambda: call("long", 30)}
    samples = ratio.time_ms(cases, rounds=3, warm_ups=0, settle_ms=10)
    assert samples == {"short": [2.0] * 3, "long": [30.0] * 3}
    assert calls == {"short": 3 + 2 * 5, "long": 3}  # before the first call its length is not known


def test_a_row_says_how_many_times_faster_ours_is():
    record = ratio.row("a question", {"ours": [1.0, 2.0, 9.0], "theirs": [5.0, 7.0, 6.0]}, "ours")
    assert record["median_ms"] == {"ours": 2.0, "theirs": 6.0}
    assert record["times_faster"] == {"theirs": 3.0}


def test_the_compared_decodings_agree_and_are_timed():
    record = decode.measure_colours(decode.scene_label(33, 47), rounds=2)
    assert all(len(values) == 2 for values in record["samples_ms"].values())
    assert np.all([value > 0 for values in record["samples_ms"].values() for value in values])
