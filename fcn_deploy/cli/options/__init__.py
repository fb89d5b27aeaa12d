"""Declare the options that several commands share, in groups, and how a command is declared."""
