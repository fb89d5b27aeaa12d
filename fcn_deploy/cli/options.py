"""What several commands take, parsed in one place."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError, RecipeError
from ..spec import class_names


def parse_classes(text: str | None) -> tuple[str, ...] | None:
    """Class names from `--classes`: a file with one name a line, or a comma-separated list; None if not given.

    Raises:
        DataError: the file cannot be read, or a name is empty or stands twice.
    """
    if text is None:
        return None
    path = Path(text)
    try:
        names = path.read_text().splitlines() if path.is_file() else text.split(",")
        return class_names([name for name in names if name.strip()])
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the class names in {path}: {error}") from error
    except RecipeError as error:
        raise DataError(f"--classes {text}: {error}") from error
