"""The record of a run: one SQLite file with one writer at a time, one transaction per finished cell."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import psutil

from odkit.bench.schema import CANONICAL, CELL_COLUMNS, PLANNED, SCHEMA, TABLES
from odkit.bench.score_files import beside

__all__ = ["Ledger", "file_sha"]


def file_sha(path: Path) -> str:
    """sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Ledger:
    """`ledger.sqlite` of a run folder; `scores/` beside it holds one .npy per finished cell.

    Readers may open it while a run goes on (write-ahead log). A ledger of another schema is refused.
    """

    def __init__(self, run_dir: str | Path, *, create: bool = False):
        self.run_dir = Path(run_dir)
        path = self.run_dir / "ledger.sqlite"
        if not path.exists() and not create:
            raise FileNotFoundError(f"{self.run_dir} is no run folder (it has no ledger.sqlite)")
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._sql = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._sql.row_factory = sqlite3.Row
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=NORMAL")
        (found,) = self._sql.execute("PRAGMA user_version").fetchone()
        if found == 0:
            with self._transaction():
                for table in TABLES:
                    self._sql.execute(table)
                self._sql.execute(f"PRAGMA user_version={SCHEMA}")
        elif found != SCHEMA:
            raise ValueError(
                f"{path}: ledger schema {found}, this release reads {SCHEMA}; "
                "write its results with `odkit bench export` of the release that made it, and start a new run folder"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sql.close()

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._sql)

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """The answer to a query as plain dicts."""
        return [dict(row) for row in self._sql.execute(query, tuple(values))]

    def claim(self, run_id: str, config: str, suite: str, suite_sha: str) -> None:
        """Enter this process as the ledger's writer, unless another writer is alive. A run with the same cells may
        have another text: other names, metrics, limits; the newest counts."""
        with self._transaction():
            self._refuse_a_second_writer()
            self._sql.execute("UPDATE runs SET pid=NULL, pid_started=NULL")
            self._sql.execute(
                "INSERT INTO runs VALUES (?,?,?,?,?,?,?) ON CONFLICT(run_id) DO UPDATE SET config=excluded.config, "
                "suite=excluded.suite, suite_sha=excluded.suite_sha, created_at=excluded.created_at, pid=excluded.pid, "
                "pid_started=excluded.pid_started",
                (run_id, config, suite, suite_sha, _now(), os.getpid(), psutil.Process().create_time()),
            )

    def _refuse_a_second_writer(self) -> None:
        for row in self.rows("SELECT pid, pid_started FROM runs WHERE pid IS NOT NULL"):
            if row["pid"] != os.getpid() and _alive(row["pid"], row["pid_started"]):
                raise RuntimeError(
                    f"{self.run_dir}: process {row['pid']} is running on this folder; wait for it or stop it"
                )

    def release(self) -> None:
        """This process writes no more."""
        self._sql.execute("UPDATE runs SET pid=NULL, pid_started=NULL WHERE pid=?", (os.getpid(),))

    def plan(self, run_id: str, records: Iterable[dict[str, Any]]) -> None:
        """Enter the cells of a run, so that `status` and `report` know what is still missing. What only names a cell
        (the detector's id, the family) may have changed since it was finished."""
        records = list(records)
        with self._transaction():
            self._put_planned("REPLACE", ({"run_id": run_id, **record} for record in records))
            self._sql.executemany("UPDATE cells SET detector=:detector, family=:family WHERE cell_id=:cell_id", records)

    def _put_planned(self, otherwise: str, rows: Iterable[dict[str, Any]]) -> None:
        columns = ("run_id", *PLANNED)
        self._sql.executemany(
            f"INSERT OR {otherwise} INTO planned VALUES ({', '.join('?' * len(columns))})",
            [tuple(row[name] for name in columns) for row in rows],
        )

    def put_env(self, env_id: str, env_json: str) -> None:
        self._sql.execute("INSERT OR IGNORE INTO envs VALUES (?,?)", (env_id, env_json))

    def put(self, cell: dict[str, Any], metrics: dict[str, tuple[int, float | None]]) -> None:
        """A finished cell and its metrics, in one transaction."""
        unknown = set(cell) - set(CELL_COLUMNS)
        if unknown:
            raise ValueError(f"cells have no column {', '.join(sorted(unknown))}")
        with self._transaction():
            self._sql.execute(
                f"INSERT OR REPLACE INTO cells ({', '.join(cell)}) VALUES ({', '.join('?' * len(cell))})",
                tuple(map(_storable, cell.values())),
            )
            self._sql.execute("DELETE FROM metrics WHERE cell_id=?", (cell["cell_id"],))
            self._put_metrics(cell["cell_id"], metrics)

    def put_metrics(self, cell_id: str, metrics: dict[str, tuple[int, float | None]]) -> None:
        """Metrics of a cell that was finished before they were asked for."""
        with self._transaction():
            self._put_metrics(cell_id, metrics)

    def _put_metrics(self, cell_id: str, metrics: dict[str, tuple[int, float | None]]) -> None:
        self._sql.executemany(
            "INSERT OR REPLACE INTO metrics VALUES (?,?,?,?)",
            [(cell_id, name, version, value) for name, (version, value) in metrics.items()],
        )

    def unreadable(self, cells: Iterable[dict[str, Any]]) -> set[str]:
        """Cells that are `ok` on paper but whose score file is gone or holds other bytes."""
        bad = set()
        for cell in cells:
            if cell["status"] == "ok":
                path = self.run_dir / cell["score_path"]
                if not path.is_file() or file_sha(path) != cell["score_sha"]:
                    bad.add(cell["cell_id"])
        return bad

    def canonical(self) -> str:
        """Results as text that is equal, byte for byte, between equal runs: no times, hosts, dates or paths."""
        metrics: dict[str, list[str]] = {}
        for row in self.rows("SELECT * FROM metrics ORDER BY cell_id, metric"):
            metrics.setdefault(row["cell_id"], []).append(f"{row['metric']}={row['value']!r}")
        lines = ["\t".join([*CANONICAL, "metrics"])]
        for cell in self.rows(f"SELECT {', '.join(CANONICAL)} FROM cells ORDER BY cell_id"):
            values = ["" if value is None else str(value) for value in cell.values()]
            lines.append("\t".join([*values, " ".join(metrics.get(cell["cell_id"], []))]))
        return "\n".join(lines) + "\n"

    def take(self, other: "Ledger") -> int:
        """Copy the finished cells of another ledger that this one lacks, scores and maps included; returns how many.

        Raises
        ------
        RuntimeError
            If a process is running on this ledger's folder.
        """
        with self._transaction():
            self._refuse_a_second_writer()
            for run in other.rows("SELECT * FROM runs"):
                self._sql.execute(
                    "INSERT OR IGNORE INTO runs VALUES (?,?,?,?,?,NULL,NULL)",
                    (run["run_id"], run["config"], run["suite"], run["suite_sha"], run["created_at"]),
                )
            self._sql.execute("UPDATE runs SET pid=?, pid_started=?", (os.getpid(), psutil.Process().create_time()))
            self._put_planned("IGNORE", other.rows("SELECT * FROM planned"))
        try:
            return self._take_cells(other)
        finally:
            self.release()

    def _take_cells(self, other: "Ledger") -> int:
        known = {row["cell_id"] for row in self.rows("SELECT cell_id FROM cells")}
        broken = other.unreadable(other.rows("SELECT cell_id, status, score_path, score_sha FROM cells"))
        for env in other.rows("SELECT * FROM envs"):
            self.put_env(env["env_id"], env["env_json"])
        taken = 0
        for cell in other.rows("SELECT * FROM cells ORDER BY cell_id"):
            if cell["cell_id"] in known or cell["cell_id"] in broken:
                continue
            if cell["score_path"]:
                target, source = self.run_dir / cell["score_path"], other.run_dir / cell["score_path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                if beside(source).is_file():
                    shutil.copyfile(beside(source), beside(target))
            values = other.rows("SELECT metric, metric_version, value FROM metrics WHERE cell_id=?", [cell["cell_id"]])
            self.put(cell, {row["metric"]: (row["metric_version"], row["value"]) for row in values})
            taken += 1
        return taken


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT, or ROLLBACK where the block raises."""

    def __init__(self, sql: sqlite3.Connection):
        self._sql = sql

    def __enter__(self) -> None:
        self._sql.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._sql.execute("COMMIT" if kind is None else "ROLLBACK")


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _storable(value: Any) -> Any:
    """Text that can be written: a lone surrogate, as in the name of a file of another encoding, as its escape."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _alive(pid: int, started: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.Error:
        return False
