"""`odkit fit` and `odkit inspect`: from files to a model file, and what such a file says about itself."""

from typing import Annotated

import typer

from odkit.cli.options import (
    SHOW,
    ColumnNames,
    Contamination,
    Debug,
    Delimiter,
    DetectorName,
    Files,
    Id,
    Ignore,
    Json,
    Memory,
    NanOption,
    NoHeader,
    OnNan,
    OnTextOption,
    Param,
    PValues,
    ScaleOption,
    Seed,
)

EXAMPLES = """
[bold]Examples[/bold]

odkit fit january.csv --id payment_id --on-text codes -o january.odkit

odkit fit sensors.parquet --detector knn --scale standard -o sensors.odkit

odkit fit ordinary.csv --p-values -o meters.odkit
odkit score today.csv --model meters.odkit --fdr 0.05
    [dim]keep part of the rows apart, so that scores become p-values[/dim]

odkit fit january/ --param compression=0.01 --memory 2GB -o january.odkit
    [dim]files that do not fit into memory, in blocks: ecod (compressed), mahalanobis and gmm[/dim]

odkit inspect sensors.odkit
    [dim]what a model file says about itself; loading one executes nothing[/dim]
"""


def fit(
    files: Files,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="The model.", rich_help_panel=SHOW)],
    detector: DetectorName = None,
    param: Param = [],  # noqa: B006
    contamination: Contamination = None,
    scale: ScaleOption = None,
    seed: Seed = None,
    p_values: PValues = False,
    id: Id = [],  # noqa: B006
    columns: ColumnNames = [],  # noqa: B006
    ignore: Ignore = [],  # noqa: B006
    on_text: OnTextOption = None,
    nan: NanOption = OnNan.error,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    memory: Memory = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Learn from files what is normal and write it to a model file."""
    from odkit import model_file
    from odkit.jobs import choice, command, formats, reporters, screen
    from odkit.jobs.inputs import expand
    from odkit.jobs.selection import Source
    from odkit.jobs.significance import calibrated

    paths = expand(files)
    formats.check_output(out, paths, ())
    chosen = choice.choose(None, detector, contamination, seed, scale, on_text, param)
    if p_values:
        chosen = calibrated(chosen, contamination)
    source = Source(paths, id, columns, ignore, nan, delimiter, not no_header)
    with reporters.progress() as report:
        fitted = command.fit(source, chosen, memory, on_text=on_text or "error", progress=report)
        fitted.save(out)
    screen.show_model(model_file.inspect(out), fitted.notes, as_json=as_json)


def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL")], as_json: Json = False, debug: Debug = False
) -> None:
    """Show what a model file says about itself, without loading its arrays."""
    from odkit import model_file
    from odkit.jobs import screen

    screen.show_model(model_file.inspect(model), [], as_json=as_json)
