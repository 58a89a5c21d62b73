"""Timing that can be compared: contestants run in turn, warm, several times; the ratio is taken pair by pair."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["interleaved", "machine", "peak_memory", "ratio", "seconds"]


def machine() -> str:
    """One line on where the figures come from."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in cpu.splitlines() if "model name" in line), "unknown CPU")
    threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS") if name in os.environ}
    load = os.getloadavg()[0]
    return f"{model}, {len(os.sched_getaffinity(0))} cores, threads {threads or 'default'}, load {load:.1f}"


def interleaved(
    contestants: dict[str, Callable[[], object]], repeats: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of every contestant over `repeats` rounds A B C A B C ..., after one uncounted round.

    Wall seconds; with `clock=time.process_time` CPU seconds of all threads, which a busy machine disturbs less.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(repeats + 1):
        for name, run in contestants.items():
            start = clock()
            run()
            if round_:
                times[name].append(clock() - start)
    return times


def seconds(times: list[float]) -> str:
    """Median, with the unit that reads best."""
    median = statistics.median(times)
    return f"{median:8.2f} s " if median >= 1 else f"{1e3 * median:8.3f} ms"


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median over rounds of slow / fast."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def _memory(key: str) -> int:
    """A field of /proc/self/status in bytes; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def _measure(make: Callable, use: Callable, pipe) -> None:
    import numba  # noqa: F401  imports, compilers and caches are not the data's memory

    use(make(64))
    base = _memory("VmRSS")
    data = make(None)
    Path("/proc/self/clear_refs").write_text("5")
    kept = use(data)
    pipe.send((_memory("VmHWM") - base, data.nbytes))
    del kept


def peak_memory(make: Callable, use: Callable) -> float:
    """Peak resident memory of `use(make(None))` in a fresh process, data included, as a multiple of the data.

    `make(64)` gives a small data set of the same kind to warm up with. Both must be importable functions.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_measure, args=(make, use, theirs))
    child.start()
    theirs.close()
    try:
        peak, size = ours.recv()
    except EOFError:
        return float("nan")
    finally:
        child.join()
    return peak / size
