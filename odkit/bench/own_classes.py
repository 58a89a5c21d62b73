"""Where `module:Class` of a user's own is looked for: a command, unlike a script, has no folder of its own."""

import os
import sys
from pathlib import Path

__all__ = ["find_own_classes"]


def find_own_classes(config: str) -> None:
    """Let classes be found in the working folder and beside the configuration's file, after what is installed.

    Cells find them too: their processes take over `sys.path`.
    """
    for folder in (os.getcwd(), str(Path(config).resolve().parent) if Path(config).suffix else ""):
        if folder and folder not in sys.path:
            sys.path.append(folder)
