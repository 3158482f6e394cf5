"""Where Lambent keeps things on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def data_dir() -> Path:
    """$LAMBENT_HOME, else `lambent` in the user's data folder."""
    home = os.environ.get("LAMBENT_HOME")
    if home:
        return Path(home).expanduser().absolute()
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "lambent"
