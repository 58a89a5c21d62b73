"""The benchmark harness: detectors x data sets under one stated protocol, each cell in a process of its own.

config.py       what a run is                      contestants.py  from an import path to a detector
plan.py         the cells and their identity       protocol.py     split, scale, leak checks
cell.py         what a child process does          run.py          processes, limits, resume
measures.py     the metrics a run may ask for      ledger.py       the SQLite record
stats.py        paired statistics                  tables.py       the record as tables
report.py       one HTML page                      markdown.py     its main tables for documents
compare.py      two runs, paired                   speed.py        seconds side by side
baselines.py    detectors that know nothing        figures.py      plain SVG
environment.py  what a run ran on                  memory.py       peak resident memory
commands.py     `odkit bench ...`                  configs/        bundled configurations
"""
