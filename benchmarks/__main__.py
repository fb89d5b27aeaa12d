"""`python -m benchmarks SUITE`: measure, print, and add a record to `results`."""

from __future__ import annotations

import argparse

from benchmarks import record
from benchmarks.readme import markdown
from benchmarks.suite import load_suite, names
from fcn_deploy.errors import FcnDeployError


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", choices=names())
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value of a parameter")
    given = parser.parse_args()
    try:
        suite = load_suite(given.suite, given.set)
        said = {"question": suite.question, "parameters": dict(suite.parameters), "load_before": record.load_average()}
        rows, facts = suite.measure()
        path = record.write(suite.name, rows, suite.packages, {**said, **facts})
    except FcnDeployError as error:
        raise SystemExit(f"error: {error}") from error
    print(markdown(record.read(path)))
    print(path)


if __name__ == "__main__":
    main()
