"""Collecting TensorRT's log messages."""

from __future__ import annotations

import pytest

from fcn_deploy.engine.logger import LogMessages, capture_log, logger, significant_lines


def test_listeners_hear_the_one_logger_and_only_while_they_listen():
    trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed")
    one = logger(trt)
    with capture_log(trt) as outer:
        one.log(trt.ILogger.ERROR, "first")
        with capture_log(trt) as inner:
            one.log(trt.ILogger.WARNING, "second")
    one.log(trt.ILogger.ERROR, "third")
    assert outer.messages == [("ERROR", "first"), ("WARNING", "second")]
    assert inner.messages == [("WARNING", "second")]
    assert logger(trt) is one


def test_an_error_is_reported_once_and_without_the_lines_of_a_missing_driver():
    lines = "real trouble\nchecks: cudaError_t 35 returned\nIn checkMacros at error.cpp:1\n"
    recorded = LogMessages(
        [("ERROR", lines), ("INFO", "chatter"), ("ERROR", "real trouble"), ("INTERNAL_ERROR", "worse")]
    )
    assert significant_lines(lines) == ["real trouble"]
    assert recorded.reason() == "real trouble worse"
    assert LogMessages().reason() == "the library gives no reason"
