.PHONY: check test lint format docs long
# docs: the README's tables, rendered anew from benchmarks/results.
check: lint test
lint:
	ruff format --check .
	ruff check .
	mypy
format:
	ruff format .
	ruff check --fix .
test:
	pytest
docs:
	python -m benchmarks.readme
long:
	pytest -m long
