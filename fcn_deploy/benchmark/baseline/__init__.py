"""Compare a record with an earlier one and fail when a row became slower or less accurate."""
