.PHONY: check ci lint unit test long format docs site edge api hostile
# check: before each commit, 3 minutes on two cores. ci: what .ci/run runs, 10 minutes. long: what ci leaves out.
# docs: render tables and figures from benchmarks/results, pictures from the demo model, and the map of the package.
check: lint unit
ci: lint site test
lint:
	ruff format --check .
	ruff check .
	mypy
	codespell README.md CHANGELOG.md CONTRIBUTING.md docs benchmarks fcn_deploy
format:
	ruff format .
	ruff check --fix .
unit:
	pytest -n auto tests/unit
test:
	pytest -n auto
docs:
	python -m benchmarks.readme
	python -m benchmarks.figures
	python -m benchmarks.pictures
	python -m tests.support.folder_table
	python -m tests.support.cli_pages
# site: docs/ as web pages, in site/. edge: docs/edge.md's installation without PyTorch, in a new environment, tested.
site:
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict
edge:
	bash tests/support/edge.sh
long:
	pytest -m long
# api: what each release of TensorRT's bindings offers, described anew from its wheel (tests/api).
api:
	python -m tests.api.bindings
# hostile: hostile and damaged files in every command, then kills of those that write; writes the tables of docs/reliability.md.
hostile:
	python -m tests.hostile --write
	python -m tests.hostile.kills --write
