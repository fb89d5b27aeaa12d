"""Generate street scenes with exact labels."""
