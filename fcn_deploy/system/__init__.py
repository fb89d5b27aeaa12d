"""Wrap the operating system: files, processes, signals, memory, optional packages."""
