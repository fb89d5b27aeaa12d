"""Hostile files, names and moments: what a command makes of them, and what it must never do."""
