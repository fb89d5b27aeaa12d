"""Restate graphs for the runtimes of CPUs: in the types that they compute in, and as they compute fastest."""
