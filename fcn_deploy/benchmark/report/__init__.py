"""Render a record as a table, Markdown, CSV or an HTML page."""
