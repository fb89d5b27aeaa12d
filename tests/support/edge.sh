#!/usr/bin/env bash
# Install as docs/edge.md says, in a new environment without PyTorch, and run the tests of that installation.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=$(mktemp -d)/venv
trap 'rm -rf "$(dirname "$venv")"' EXIT
python3 -m venv "$venv"
# shellcheck disable=SC1091
source "$venv/bin/activate"
command=$(grep -m1 -o '^    pip install numpy .* -c constraints\.txt' docs/edge.md)
bash -c "$command"
pip install --no-deps .
pip install pytest "tomli; python_version < '3.11'" -c constraints.txt
if python -c "import torch" 2> /dev/null; then
    echo "PyTorch was installed too" && exit 1
fi
python -m pytest --noconftest -p no:cacheprovider -o addopts= tests/unit/distribution/test_without_torch.py
