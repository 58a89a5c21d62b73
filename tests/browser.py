"""Pages opened in headless Chromium, where there is one."""

import shutil
import subprocess
from typing import NamedTuple

import pytest

__all__ = ["Drawn", "draw", "needs_browser"]

needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")


class Drawn(NamedTuple):
    """The document after scripts have run, what they wrote to the console, and the size of a picture in bytes."""

    dom: str
    console: list[str]
    picture: int


def draw(page: str, folder, *, script: str = "", picture: bool = True, size: str = "1200,3000") -> Drawn:
    """Open a page, run a script in it, and take its picture."""
    path = folder / "drawn.html"
    path.write_text(page.replace("</body>", f"<script>{script}</script></body>"))
    browser = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=2000", "--enable-logging=stderr",
    ]  # fmt: skip
    done = subprocess.run([*browser, "--dump-dom", f"file://{path}"], capture_output=True, text=True, timeout=120)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    if picture:
        shot = [f"--window-size={size}", f"--screenshot={folder / 'page.png'}", f"file://{path}"]
        subprocess.run([*browser, *shot], capture_output=True, timeout=120)
    return Drawn(done.stdout, console, (folder / "page.png").stat().st_size if picture else 0)
