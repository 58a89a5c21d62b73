"""Data sets: cards that describe them, readers that load them, generators that make them.

>>> from odkit.datasets import load
>>> telemetry = load("samples/telemetry")
>>> telemetry.X.shape, telemetry.windows.shape
((2016, 6), (7, 2))
"""

from odkit.datasets.cards import Card, CardFile, Source
from odkit.datasets.download import fetch
from odkit.datasets.home import get_data_home
from odkit.datasets.own import add_dataset
from odkit.datasets.payments import make_payments
from odkit.datasets.planted_rows import make_graded_rows, make_planted_rows
from odkit.datasets.readers import Dataset, load
from odkit.datasets.samples import sample_path, write_samples
from odkit.datasets.shelf import get_card, list_cards, suite, suite_sha256, suites
from odkit.datasets.store import Check, path, rows, verify
from odkit.datasets.telemetry import make_telemetry
from odkit.datasets.toy_images import make_toy_images
from odkit.datasets.wafer_maps import make_wafer_maps

__all__ = [
    "Card",
    "CardFile",
    "Check",
    "Dataset",
    "Source",
    "add_dataset",
    "fetch",
    "get_card",
    "get_data_home",
    "list_cards",
    "load",
    "make_graded_rows",
    "make_payments",
    "make_planted_rows",
    "make_telemetry",
    "make_toy_images",
    "make_wafer_maps",
    "path",
    "rows",
    "sample_path",
    "suite",
    "suite_sha256",
    "suites",
    "verify",
    "write_samples",
]
