"""What a run is: suite, protocols, seeds, detectors, metrics and limits, read from TOML or YAML and validated.

Unknown keys are errors that name the nearest known one, and so are keys given twice: a misspelt limit must not be a
limit that is not there.
"""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from odkit.bench.strict_yaml import read_yaml

__all__ = ["Config", "DetectorEntry", "Limits", "Protocol", "bundled", "load_config", "nearest", "with_limits"]

BUNDLED = Path(__file__).parent / "configs"

Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


def nearest(name: str, known: list[str]) -> str:
    """The end of an error message about an unknown name: the closest known ones, or all of a short list."""
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(close)}?"
    return f"known: {', '.join(sorted(known)[:20])}{' ...' if len(known) > 20 else ''}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Protocol(_Strict):
    """How rows become training and test rows. Part of a cell's identity; results of two are never averaged.

    Attributes
    ----------
    mode : one_class (no known outlier in train), contaminated (outliers stay in train, unlabelled) or in_sample
        (fit and score the same rows)
    split : given (the data set's own), stratified (share `test` of each kind, by seed) or prefix (the beginning of a
        series trains); none in_sample
    scaler : fitted on the training rows only
    max_rows : cap on training rows (seeded subsample) and on test rows (stratified)
    dedup : drop repeated rows before a stratified split
    bin_s : series with time stamps: seconds of a bin on an even clock, counted from the first stamp; a bin holds the
        mean of its values, an empty one the mean of the series, and is anomalous if it meets an anomalous stretch
    channel : series: the one column that is used
    only : data sets (patterns) that this protocol is for; not part of the identity
    """

    mode: Literal["one_class", "contaminated", "in_sample"]
    split: Literal["given", "stratified", "prefix"] | None = None
    scaler: Literal["none", "standard", "minmax", "robust"] = "none"
    test: float = Field(0.3, gt=0, lt=1)
    max_rows: int | None = Field(None, ge=10)
    dtype: Literal["float64", "float32"] = "float64"
    dedup: bool = False
    bin_s: int | None = Field(None, ge=1)
    channel: int | None = Field(None, ge=0)
    only: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _split_fits_mode(self) -> Self:
        if self.mode == "in_sample" and self.split is not None:
            raise ValueError(f"mode in_sample has no split, got split: {self.split}")
        if self.mode != "in_sample" and self.split is None:
            raise ValueError(f"mode {self.mode} needs a split: given, stratified or prefix")
        return self

    def identity(self) -> dict[str, Any]:
        """The fields that decide the numbers. What only series know is left out where it is not set."""
        unset = {name for name in ("bin_s", "channel") if getattr(self, name) is None}
        return self.model_dump(exclude={"only", *unset})

    def title(self) -> str:
        """One line for the head of a table."""
        words = [self.mode, *([self.split] if self.split else []), f"scaler {self.scaler}"]
        if self.split == "stratified":
            words.append(f"test {self.test:g}")
        if self.max_rows:
            words.append(f"max_rows {self.max_rows}")
        words += [f"bins of {self.bin_s} s"] * (self.bin_s is not None)
        words += [f"channel {self.channel}"] * (self.channel is not None)
        words += ["dedup"] * self.dedup + [self.dtype] * (self.dtype != "float64")
        return ", ".join(words)


class DetectorEntry(_Strict):
    """One contestant: `id` names it in tables; `class` is where it is imported from (`pkg.mod.Class` or `mod:Class`).

    `max_train_rows` and `max_features` declare what it does not support: beyond them its cells are skipped, with that
    reason. `seeds` replaces the run's seeds, e.g. [0] where `random_state` does not touch the scores.
    """

    id: str
    path: str | None = Field(None, alias="class")
    params: dict[str, Any] = {}
    max_train_rows: int | None = Field(None, ge=1)
    max_features: int | None = Field(None, ge=1)
    seeds: Seeds | None = None

    @property
    def import_path(self) -> str:
        return self.path or self.id


class Limits(_Strict):
    """Hard limits of one cell: wall clock (s), memory (MB above what a bare process holds), BLAS and torch threads."""

    timeout_s: float = Field(default=600.0, gt=0, le=10**7)
    memory_mb: int = Field(default=4096, ge=64, le=10**9)
    threads: int = Field(default=1, ge=1, le=10**4)


class Config(_Strict):
    """A whole run. `rank_by` (default: the first metric) is the primary analysis, fixed before results are seen."""

    suite: str | None = None
    datasets: tuple[str, ...] = ()
    protocol: tuple[Protocol, ...] = Field(min_length=1)
    seeds: Seeds = (0,)
    detectors: tuple[DetectorEntry, ...] = Field(min_length=1)
    metrics: tuple[str, ...] = Field(("roc_auc", "ap", "ap_norm", "p_at_n"), min_length=1)
    rank_by: tuple[str, ...] = ()
    rope: float = Field(0.01, ge=0)
    rivals: tuple[tuple[str, str], ...] = ()
    limits: Limits = Limits()

    @field_validator("protocol", mode="before")
    @classmethod
    def _one_or_many(cls, given: Any) -> Any:
        return (given,) if isinstance(given, dict | Protocol) else given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.suite) == bool(self.datasets):
            raise ValueError("give either suite or datasets")
        ids = [entry.id for entry in self.detectors]
        lists: dict[str, list[Any]] = {
            "detector ids": ids,
            "metrics": list(self.metrics),
            "seeds": list(self.seeds),
            **{f"seeds of {entry.id}": list(entry.seeds or ()) for entry in self.detectors},
        }
        for what, given in lists.items():
            twice = sorted({str(one) for one in given if given.count(one) > 1})
            if twice:
                raise ValueError(f"{what} must differ, given twice: {', '.join(twice)}")
        for name in self.rank_by:
            if name not in self.metrics:
                raise ValueError(f"rank_by: {name} is not among metrics; {nearest(name, list(self.metrics))}")
        for name in (name for pair in self.rivals for name in pair):
            if name not in ids:
                raise ValueError(f"rivals: no detector {name!r}; {nearest(name, ids)}")
        return self

    def ranked(self) -> tuple[str, ...]:
        return self.rank_by or self.metrics[:1]


def bundled() -> list[str]:
    """Names of the configurations that come with the package.

    Examples
    --------
    >>> bundled()[-3:]
    ['speed', 'tabular-adbench', 'tabular-macro']
    """
    return sorted(path.stem for path in BUNDLED.glob("*.yaml"))


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    tables: dict[str, type[_Strict]] = {"protocol": Protocol, "detectors": DetectorEntry, "limits": Limits}
    model = tables.get(str(location[0]), Config) if len(location) > 1 else Config
    return [field.alias or name for name, field in model.model_fields.items()]


def parse_config(text: str, *, toml: bool = False, name: str = "config") -> Config:
    """A validated configuration from its text; every problem is listed with its place."""
    try:
        values = tomllib.loads(text) if toml else read_yaml(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{name}: not readable as {'TOML' if toml else 'YAML'}: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{name}: a table of keys is expected, got {type(values).__name__}")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ValueError(_problems(error, name)) from None


def _problems(error: ValidationError, name: str) -> str:
    """One line for each thing that is wrong, with its place and the nearest known key."""
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        hint = ""
        if problem["type"] == "extra_forbidden":
            hint = "; " + nearest(str(problem["loc"][-1]), _known_keys(problem["loc"]))
        lines.append(f"{name}: {place or 'config'}: {problem['msg']}{hint}")
    return "\n".join(lines)


def with_limits(config: Config, **changes: float | int | None) -> Config:
    """The configuration with other limits; None leaves one as it is. A bad one is a ValueError that names it."""
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        limits = Limits.model_validate(config.limits.model_dump() | given)
    except ValidationError as error:
        raise ValueError(_problems(error, "limits")) from None
    return config.model_copy(update={"limits": limits})


def load_config(source: str | Path) -> tuple[Config, str]:
    """The configuration and its text, verbatim, from a bundled name or a .yaml, .yml or .toml file."""
    path = Path(source)
    if not path.suffix and not path.exists():
        if str(source) not in bundled():
            raise ValueError(f"no bundled configuration {str(source)!r}; {nearest(str(source), bundled())}")
        path = BUNDLED / f"{source}.yaml"
    if path.suffix not in (".yaml", ".yml", ".toml"):
        raise ValueError(f"{path}: a configuration ends in .yaml, .yml or .toml")
    if not path.is_file():
        raise ValueError(f"{path}: no such file; bundled configurations are {', '.join(bundled())}")
    text = path.read_text(encoding="utf-8")
    return parse_config(text, toml=path.suffix == ".toml", name=path.name), text
