"""What a run ran on, captured once: numbers depend on it, and results of two environments are not compared in time."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil
from threadpoolctl import threadpool_info

import odkit

__all__ = ["environment"]


def _output(*command: str, where: Path | None = None) -> str:
    if not shutil.which(command[0]):
        return ""
    try:
        return subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment(threads: int) -> tuple[str, str]:
    """(env_id, JSON): interpreter, system, processor, memory, GPU, BLAS, packages, revision. No paths, no host name."""
    source = Path(odkit.__file__).parent
    found: dict[str, Any] = {
        "python": sys.version.split()[0],
        "os": f"{platform.system()} {platform.release()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "ram_gb": round(psutil.virtual_memory().total / 2**30),
        "gpu": _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader"),
        "blas": sorted(f"{lib['internal_api']} {lib['version']}" for lib in threadpool_info()),
        "threads": threads,
        "thread_variables": {k: v for k, v in sorted(os.environ.items()) if k.endswith("_NUM_THREADS")},
        "git": _output("git", "rev-parse", "HEAD", where=source),
        "dirty": bool(_output("git", "status", "--porcelain", "--", ".", where=source)),
        "packages": dict(sorted((d.metadata["Name"], d.version) for d in distributions())),
    }
    text = json.dumps(found, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16], text
