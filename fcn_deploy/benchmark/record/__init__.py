"""Hold, check, write and read what a benchmark measured."""
