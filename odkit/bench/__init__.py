"""The benchmark harness: detectors x data sets under one stated protocol, each cell in a process of its own.

config.py       what a run is                      strict_yaml.py   YAML without its old surprises
contestants.py  from an import path to a detector  own_classes.py   where users' classes are found
plan.py         the cells and their identity       protocol.py      split and scale
run.py          what to run, resume                processes.py     a cell's process, watched
cell.py         what a child process does          limits.py        limits it cannot lift
probes.py       leak checks                        measures.py      the metrics a run may ask for
ledger.py       the SQLite record                  schema.py        its columns
score_files.py  scores and maps on the disk        remeasure.py     metrics asked for later
tables.py       the record as tables               panel.py         one metric, sets x detectors
summaries.py    tables by detector                 stats.py         paired statistics
report.py       one HTML page                      markdown.py      its main tables for documents
compare.py      two runs, paired                   figures.py       plain SVG
speed.py        seconds side by side               baselines.py     detectors that know nothing
environment.py  what a run ran on                  memory.py        peak resident memory
commands.py     `odkit bench ...` of run_commands.py, result_commands.py, data_commands.py; terminal.py their prints
configs/        bundled configurations
"""
