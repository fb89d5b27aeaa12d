.PHONY: check test lint format docs long api
# docs: render tables and figures from benchmarks/results, pictures from the demo model, and the map of the package.
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
	python -m benchmarks.figures
	python -m benchmarks.pictures
	python -m tests.support.folder_table
long:
	pytest -m long
# api: what each release of TensorRT's bindings offers, described anew from its wheel (tests/api).
api:
	python -m tests.api.bindings
