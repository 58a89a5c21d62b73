"""What is known of the data and of the model, as facts for people."""

from typing import Any

from odkit.report.reading import Material
from odkit.report.wording import file_size

__all__ = ["facts"]


def facts(material: Material) -> dict[str, Any]:
    """What is known of the data and of the model, as lists of (name, value)."""
    data = [(file["name"], f"{file['rows']:,} rows, {file_size(file['bytes'])}") for file in material.files]
    if len(data) > 8:
        rows, size = (sum(file[what] for file in material.files) for what in ("rows", "bytes"))
        data = [(f"{len(material.files)} files", f"{rows:,} rows, {file_size(size)}")]
    if material.columns is not None:
        names = material.columns.names
        data.append(("features", f"{len(names)}: {', '.join(names[:12])}{', ...' * (len(names) > 12)}"))
    model: list[tuple[str, str]] = []
    if material.card is not None and material.model is not None:
        card, fitted = material.card, material.model.data
        detector = material.model.detector
        last = detector[-1] if card["class"] == "Pipeline" else detector
        steps = detector.steps if last is not detector else [("", detector)]
        params = {name: value for name, value in last.get_params(deep=False).items() if _is_set(last, name, value)}
        files = ", ".join(file["name"] for file in fitted.get("files", []))
        model = [
            ("detector", " after ".join(type(step).__name__ for _, step in reversed(steps))),
            ("parameters", ", ".join(f"{name}={value}" for name, value in params.items()) or "defaults"),
            ("fitted on", f"{fitted['rows']:,} rows of {files}" if fitted else "not recorded"),
            ("written by", f"odkit {card['versions'].get('odkit')}"),
            ("fingerprint", card["fingerprint"][:16]),
        ]
    return {"data": data, "model": model}


def _is_set(estimator: Any, name: str, value: Any) -> bool:
    """Whether a parameter differs from its default."""
    default = type(estimator)().get_params(deep=False).get(name)
    return str(value) != str(default)
