"""The tables of a ledger: which columns there are, and which of them are equal between equal runs."""

__all__ = ["CANONICAL", "CELL_COLUMNS", "PLANNED", "SCHEMA", "TABLES"]

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
    f"CREATE TABLE planned (run_id TEXT, {', '.join(f'{n} INTEGER' if n == 'seed' else f'{n} TEXT' for n in PLANNED)}, "
    "PRIMARY KEY (run_id, cell_id))",
)
