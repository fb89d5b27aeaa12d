"""Say in words what the figures of a record mean."""
