"""Check a JUnit file by the structure that Jenkins' schema has (junit-10.xsd): names, order, attributes, counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

NUMBER, WHOLE = r"-?\d+(\.\d+)?", r"\d+"
TEXT = r"(?s).*"
COUNTS = {"tests": WHOLE, "failures": WHOLE, "errors": WHOLE, "time": NUMBER, "disabled": WHOLE}
REASON = {"message": TEXT, "type": TEXT}
# Element -> its attributes with what they hold, those it must have, its children in their order (one or any order).
ATTRIBUTES = {
    "testsuites": {"name": TEXT, **COUNTS},
    "testsuite": {
        "name": TEXT, **COUNTS, "skipped": WHOLE, "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?",
        "hostname": TEXT, "id": TEXT, "package": TEXT,
    },
    "testcase": {"name": TEXT, "classname": TEXT, "time": NUMBER, "assertions": TEXT, "status": TEXT},
    "failure": REASON, "error": REASON, "skipped": REASON, "system-out": {}, "system-err": {},
}  # fmt: skip
REQUIRED = {"testsuite": {"name", "tests"}, "testcase": {"name"}}
CHILDREN = {
    "testsuites": r"(testsuite )*",
    "testsuite": r"(properties )?(testcase )*(system-out )?(system-err )?",
    "testcase": r"((skipped|error|failure|system-out|system-err) )*",
}


def faults(text: str) -> list[str]:
    """Return what does not follow the schema, and counts that are not those of the testcases."""
    root = ET.fromstring(text)
    found = [] if root.tag == "testsuites" else [f"the root is {root.tag}"]
    return [*found, *_faults(root), *(line for suite in root.iter("testsuite") for line in _miscounted(suite))]


def _faults(element: ET.Element) -> Iterator[str]:
    allowed = ATTRIBUTES.get(element.tag)
    if allowed is None:
        yield f"unknown element {element.tag}"
        return
    for name, value in element.attrib.items():
        if name not in allowed or not re.fullmatch(allowed[name], value):
            yield f"{element.tag} {name}={value!r}"
    for name in REQUIRED.get(element.tag, set()) - set(element.attrib):
        yield f"{element.tag} without {name}"
    if not re.fullmatch(CHILDREN.get(element.tag, ""), "".join(f"{child.tag} " for child in element)):
        yield f"children of {element.tag}: {[child.tag for child in element]}"
    for child in element:
        yield from _faults(child)


def _miscounted(suite: ET.Element) -> Iterator[str]:
    cases = suite.findall("testcase")
    kinds = [child.tag for case in cases for child in case]
    counted = {"tests": len(cases)} | {
        name: kinds.count(tag) for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    for name, number in counted.items():
        if suite.get(name) not in (None, str(number)):
            yield f"{name}={suite.get(name)}, counted {number}"
