"""Write the checks of a gate as a JUnit file, which most CI servers show as tests.

The layout is that of the Jenkins JUnit schema (junit-10.xsd): a suite with one testcase per row and limit; `failure`
where the limit is broken, `skipped` where it was not judged, `error` where the row failed.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from fcn_deploy.benchmark.gate.checks import GateCheck
from fcn_deploy.benchmark.gate.result import GateResult
from fcn_deploy.benchmark.record.types import Record
from fcn_deploy.system.escape import visible

# What XML 1.0 cannot hold, not even escaped.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(record: Record, gate: GateResult) -> str:
    """Return the file's text; its counts are those of its testcases."""
    cases = [_case(record, check, gate.strict) for check in gate.checks]
    cases += [_error(record, line) for line in gate.errors]
    kinds = [child.tag for case in cases for child in case]
    counts = {
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "time": "0",
    }
    whole = ET.Element("testsuites", {"name": "fcn-deploy bench", **counts})
    # xs:dateTime without its zone, as the schema has it: UTC
    about = {"timestamp": record.created[:19], "skipped": str(kinds.count("skipped"))}
    suite = ET.SubElement(whole, "testsuite", {"name": _clean(f"against {gate.against}"), **counts, **about})
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = _clean(gate.line)
    ET.indent(whole)
    return ET.tostring(whole, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _case(record: Record, check: GateCheck, strict: bool) -> ET.Element:
    case = _named(record, f"{check.row} {check.limit}")
    if check.verdict == "not judged" and not strict:
        ET.SubElement(case, "skipped", message=_clean(check.sentence))
    elif check.verdict != "passed":
        failure = ET.SubElement(case, "failure", message=_clean(check.sentence), type=check.verdict)
        failure.text = _clean(f"{check.row}: {check.sentence}")
    else:
        ET.SubElement(case, "system-out").text = _clean(check.sentence)
    return case


def _error(record: Record, line: str) -> ET.Element:
    row, _, reason = line.partition(": ")
    case = _named(record, f"{row} runs")
    ET.SubElement(case, "error", message=_clean(reason), type="failed").text = _clean(line)
    return case


def _named(record: Record, name: str) -> ET.Element:
    return ET.Element("testcase", classname=_clean(f"fcn-deploy.{record.model.name}"), name=_clean(name), time="0")


def _clean(text: str) -> str:
    return FORBIDDEN.sub("?", visible(text))
