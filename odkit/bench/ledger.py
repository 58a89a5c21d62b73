"""The record of a run: one SQLite file, written by the parent alone, one transaction per finished cell."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import psutil

__all__ = ["Ledger", "file_sha"]

SCHEMA = 1
CELL_COLUMNS = {
    "cell_id": "TEXT PRIMARY KEY", "run_id": "TEXT", "suite": "TEXT", "dataset": "TEXT", "family": "TEXT",
    "modality": "TEXT", "protocol_json": "TEXT", "detector": "TEXT", "path": "TEXT", "params_json": "TEXT",
    "package": "TEXT", "version": "TEXT", "seed": "INTEGER", "n_train": "INTEGER", "n_test": "INTEGER", "d": "INTEGER",
    "outlier_rate": "REAL", "train_dup": "REAL", "test_overlap": "REAL", "constant_columns": "INTEGER",
    "non_finite": "INTEGER", "status": "TEXT", "error_type": "TEXT", "error_tail": "TEXT", "warnings": "TEXT",
    "leak": "TEXT", "fit_s": "REAL", "score_s": "REAL", "cpu_s": "REAL", "wall_s": "REAL", "peak_rss_mb": "REAL",
    "n_threads": "INTEGER", "n_unique_scores": "INTEGER", "tie_fraction": "REAL", "threshold": "REAL",
    "roc_low": "REAL", "roc_high": "REAL", "score_path": "TEXT", "score_sha": "TEXT", "env_id": "TEXT",
    "started_at": "TEXT",
}  # fmt: skip
# equal between equal runs: everything that does not depend on the clock, the host or the path
CANONICAL = (
    "cell_id", "dataset", "family", "modality", "protocol_json", "detector", "path", "params_json", "package",
    "version", "seed", "n_train", "n_test", "d", "outlier_rate", "train_dup", "test_overlap", "constant_columns",
    "non_finite", "status", "error_type", "leak", "n_unique_scores", "tie_fraction", "threshold", "score_sha",
)  # fmt: skip
PLANNED = ("cell_id", "dataset", "family", "modality", "protocol_json", "detector", "seed")
TABLES = (
    f"CREATE TABLE cells ({', '.join(f'{name} {kind}' for name, kind in CELL_COLUMNS.items())})",
    "CREATE TABLE metrics (cell_id TEXT, metric TEXT, metric_version INTEGER, value REAL, "
    "PRIMARY KEY (cell_id, metric))",
    "CREATE TABLE envs (env_id TEXT PRIMARY KEY, env_json TEXT)",
    "CREATE TABLE runs (run_id TEXT PRIMARY KEY, config TEXT, suite TEXT, suite_sha TEXT, created_at TEXT, "
    "pid INTEGER, pid_started REAL)",
    f"CREATE TABLE planned (run_id TEXT, {', '.join(f'{name} TEXT' for name in PLANNED)}, "
    "PRIMARY KEY (run_id, cell_id))",
)


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
        """Enter this process as the ledger's writer, unless another writer is alive."""
        with self._transaction():
            for row in self.rows("SELECT pid, pid_started FROM runs WHERE pid IS NOT NULL"):
                if row["pid"] != os.getpid() and _alive(row["pid"], row["pid_started"]):
                    raise RuntimeError(
                        f"{self.run_dir}: process {row['pid']} is running on this folder; wait for it or stop it"
                    )
            self._sql.execute("UPDATE runs SET pid=NULL, pid_started=NULL")
            self._sql.execute(
                "INSERT INTO runs VALUES (?,?,?,?,?,?,?) ON CONFLICT(run_id) DO UPDATE "
                "SET pid=excluded.pid, pid_started=excluded.pid_started, created_at=excluded.created_at",
                (run_id, config, suite, suite_sha, _now(), os.getpid(), psutil.Process().create_time()),
            )

    def release(self) -> None:
        """This process writes no more."""
        self._sql.execute("UPDATE runs SET pid=NULL, pid_started=NULL WHERE pid=?", (os.getpid(),))

    def plan(self, run_id: str, records: Iterable[dict[str, Any]]) -> None:
        """Enter the cells of a run, so that `status` and `report` know what is still missing."""
        with self._transaction():
            self._put_planned({"run_id": run_id, **record} for record in records)

    def _put_planned(self, rows: Iterable[dict[str, Any]]) -> None:
        columns = ("run_id", *PLANNED)
        self._sql.executemany(
            f"INSERT OR IGNORE INTO planned VALUES ({', '.join('?' * len(columns))})",
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
                tuple(cell.values()),
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
        """Copy the finished cells of another ledger that this one lacks, score files included; returns how many."""
        known = {row["cell_id"] for row in self.rows("SELECT cell_id FROM cells")}
        taken = 0
        broken = other.unreadable(other.rows("SELECT cell_id, status, score_path, score_sha FROM cells"))
        for env in other.rows("SELECT * FROM envs"):
            self.put_env(env["env_id"], env["env_json"])
        for run in other.rows("SELECT * FROM runs"):
            self._sql.execute(
                "INSERT OR IGNORE INTO runs VALUES (?,?,?,?,?,NULL,NULL)",
                (run["run_id"], run["config"], run["suite"], run["suite_sha"], run["created_at"]),
            )
        with self._transaction():
            self._put_planned(other.rows("SELECT * FROM planned"))
        for cell in other.rows("SELECT * FROM cells ORDER BY cell_id"):
            if cell["cell_id"] in known or cell["cell_id"] in broken:
                continue
            if cell["score_path"]:
                target = self.run_dir / cell["score_path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((other.run_dir / cell["score_path"]).read_bytes())
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
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _alive(pid: int, started: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.Error:
        return False
