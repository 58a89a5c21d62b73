"""The small generated files that come with odkit: where they lie, and how they are made again, byte for byte."""

from pathlib import Path

import numpy as np

from odkit.datasets.payments import make_payments
from odkit.datasets.planted_rows import make_graded_rows
from odkit.datasets.shelf import bundled_folder
from odkit.datasets.telemetry import make_telemetry
from odkit.datasets.toy_images import make_toy_images

__all__ = ["sample_path", "write_samples"]


def sample_path(name: str) -> Path:
    """The path of a bundled sample file, in a checkout or an installed package.

    Parameters
    ----------
    name : str
        "payments.csv", "payments_truth.csv", "telemetry.csv", "telemetry_events.csv", "toy_images.npz" or "graded.csv".

    Examples
    --------
    >>> from odkit.datasets import sample_path
    >>> sample_path("payments.csv").is_file()
    True
    """
    folder = bundled_folder("samples")
    known = sorted(file.name for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    if name not in known:
        raise ValueError(
            f"sample_path: there is no sample {name!r}; there are {', '.join(known) or 'none'} in {folder}"
        )
    return folder / name


def write_samples(folder: Path) -> None:
    """Write all sample files into a folder; the archive uncompressed, because zlib's output differs by build."""
    payments, truth = make_payments(random_state=0)
    telemetry, events = make_telemetry(random_state=0)
    frames = {"payments": payments, "payments_truth": truth, "telemetry": telemetry, "telemetry_events": events}
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8")
    images = make_toy_images(random_state=0)
    np.savez(folder / "toy_images.npz", image=images.images, mask=images.masks, kind=images.kinds)
    graded = make_graded_rows(random_state=0)
    lines = [",".join([f"{value:.4f}" for value in x] + [str(level)]) for x, level in zip(*graded, strict=True)]
    (folder / "graded.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
