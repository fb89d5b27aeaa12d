.PHONY: check test lint format docs long
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
long:
	pytest -m long
