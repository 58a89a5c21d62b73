"""`odkit bench ...`: the harness on the command line. No logic in commands but reading arguments and printing tables.

Exit codes: 0 done, 1 regression found by `compare`, 2 bad configuration, folder or disk, 3 finished with failed cells
under `--strict`.
"""

import typer

from odkit.bench import data_commands, result_commands, run_commands

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Compare detectors on data sets under one stated protocol."
)
for command in (
    run_commands.configs, run_commands.plan, run_commands.run,
    result_commands.status, result_commands.show, result_commands.report, result_commands.compare,
    result_commands.export, result_commands.merge,
    data_commands.datasets, data_commands.add_data, data_commands.speed,
):  # fmt: skip
    app.command()(command)
