"""From a configuration to cells: (data set, protocol, detector, seed), each with an identity of its own."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from odkit.bench.config import Config, Protocol, nearest
from odkit.bench.contestants import Contestant, canonical_json, resolve
from odkit.bench.measures import check_names
from odkit.datasets import Card, get_card, suite
from odkit.datasets.shelf import card_ids

__all__ = ["Cell", "Plan", "make_plan"]


@dataclass(frozen=True)
class Cell:
    """One unit of work. Two cells with the same `cell_id` would give the same scores."""

    cell_id: str
    dataset: str
    family: str
    modality: str
    protocol: Protocol
    contestant: Contestant
    seed: int
    size: int
    max_train_rows: int | None
    max_features: int | None

    def record(self) -> dict[str, Any]:
        """The columns of the ledger that are known before the cell runs."""
        return {
            "cell_id": self.cell_id, "dataset": self.dataset, "family": self.family, "modality": self.modality,
            "protocol_json": canonical_json(self.protocol.identity()), "detector": self.contestant.id,
            "path": self.contestant.path, "params_json": canonical_json(self.contestant.params),
            "package": self.contestant.package, "version": self.contestant.version, "seed": self.seed,
        }  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """All cells of a run; `suite_sha` changes with any file of any data set, `run_id` with any cell."""

    run_id: str
    suite: str
    suite_sha: str
    cells: tuple[Cell, ...]


def _sha(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def cell_identity(card_sha: str, protocol: Protocol, contestant: Contestant, seed: int) -> str:
    """sha256 over everything that decides the scores, and nothing else."""
    return _sha(
        {
            "dataset": card_sha,
            "protocol": protocol.identity(),
            "path": contestant.path,
            "params": contestant.params,
            "package": contestant.package,
            "version": contestant.version,
            "seed": seed,
        }
    )


def _cards(config: Config, data_home: str | None) -> list[Card]:
    if config.suite:
        return [get_card(card_id) for card_id in suite(config.suite)]
    known = card_ids(data_home)
    chosen: list[str] = []
    for pattern in config.datasets:
        matches = [card_id for card_id in known if fnmatchcase(card_id, pattern)]
        if not matches:
            raise ValueError(f"datasets: no card matches {pattern!r}; {nearest(pattern, list(known))}")
        chosen += [card_id for card_id in matches if card_id not in chosen]
    return [get_card(card_id, data_home=data_home) for card_id in chosen]


def _wanted(only: Iterable[str]) -> dict[str, list[str]]:
    """Patterns by kind. One item may hold several, `det=A,ds=B`; a comma within a pattern is part of it."""
    wanted: dict[str, list[str]] = {"det": [], "ds": []}
    for item in (part for given in only for part in re.split(r",(?=\w+=)", given)):
        key, separator, pattern = item.partition("=")
        if not separator or key not in wanted:
            raise ValueError(f"--only {item!r}: write det=PATTERN or ds=PATTERN")
        wanted[key].append(pattern)
    return wanted


def _matches(wanted: dict[str, list[str]], detector: str, dataset: str) -> bool:
    """`det=` patterns are alternatives, `ds=` patterns too; both kinds must agree."""
    return all(
        not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
        for name, patterns in ((detector, wanted["det"]), (dataset, wanted["ds"]))
    )


def _empty(wanted: dict[str, list[str]], known: dict[str, list[str]]) -> str:
    """Why no cell is planned: the first pattern that nothing matches, with the nearest names."""
    words = {"det": "detector", "ds": "data set"}
    for kind, patterns in wanted.items():
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in known[kind]):
                return f"the plan is empty: no {words[kind]} matches {pattern!r}; {nearest(pattern, known[kind])}"
    return "the plan is empty: no protocol's `only` lets one of these data sets through"


def make_plan(config: Config, *, only: Iterable[str] = (), data_home: str | None = None) -> Plan:
    """Every cell of a run, longest expected first, so that the tail of the run is short.

    A detector without `random_state` runs the first seed only, unless the protocol itself draws rows by seed.

    Raises
    ------
    ValueError
        For an unknown suite, card, metric, parameter or `only` pattern, with the nearest known names.
    """
    check_names(config.metrics)
    wanted = _wanted(only)
    cards = _cards(config, data_home)
    # nobody is imported who does not compete: a peer and its framework can take seconds
    chosen = [entry for entry in config.detectors if any(_matches(wanted, entry.id, card.id) for card in cards)]
    contestants = [(entry, resolve(entry)) for entry in chosen]
    cells = []
    for card in cards:
        for protocol in config.protocol:
            if protocol.only and not any(fnmatchcase(card.id, pattern) for pattern in protocol.only):
                continue
            drawn = protocol.split == "stratified" or protocol.max_rows is not None
            for entry, contestant in contestants:
                if not _matches(wanted, entry.id, card.id):
                    continue
                seeds = entry.seeds or config.seeds
                cells += [
                    Cell(
                        cell_id=cell_identity(card.sha256, protocol, contestant, seed),
                        dataset=card.id,
                        family=card.family,
                        modality=card.modality,
                        protocol=protocol,
                        contestant=contestant,
                        seed=seed,
                        size=card.n * card.d,
                        max_train_rows=entry.max_train_rows,
                        max_features=entry.max_features,
                    )
                    for seed in (seeds if contestant.seeded or drawn else seeds[:1])
                ]
    if not cells:
        known = {"det": [entry.id for entry in config.detectors], "ds": [card.id for card in cards]}
        raise ValueError(_empty(wanted, known))
    cells.sort(key=lambda cell: (-cell.size, cell.cell_id))
    ids = [cell.cell_id for cell in cells]
    same = (
        sorted({cell.contestant.id for cell in cells if ids.count(cell.cell_id) > 1})
        if len(set(ids)) < len(ids)
        else []
    )
    if same:
        raise ValueError(f"{', '.join(same)} are the same detector with the same parameters; give each only once")
    name = config.suite or "+".join(config.datasets)
    suite_sha = _sha(sorted((card.id, card.sha256) for card in cards))
    return Plan(_sha(sorted(ids))[:16], name, suite_sha, tuple(cells))


def describe(cell: Cell) -> dict[str, Any]:
    """A cell as plain values, for printing."""
    return {**cell.record(), "protocol": cell.protocol.title(), "missing": cell.contestant.missing}
