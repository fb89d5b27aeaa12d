"""Give the distribution its description: README.md with links that also hold outside a checkout."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

LEAD = "(Files named here, such as docs/architecture.md, are in the source distribution.)\n\n"
# [text](target) and ![text](target), where the target is a file of the checkout.
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)]+)\)")


def description(readme: str) -> str:
    """Return `readme` without pictures of the checkout, and with the name of each linked file in place of the link."""
    return LEAD + LINK.sub(lambda link: "" if link[1] else _named(link[2], link[3]), readme)


def _named(text: str, target: str) -> str:
    return text if target.split("#")[0] in text else f"{text} ({target})"


if __name__ == "__main__":
    setup(
        long_description=description(Path(__file__).with_name("README.md").read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
