"""Turn dataclasses into JSON and TOML and back, and keep the steps of a run in a log."""
