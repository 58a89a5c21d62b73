"""The benchmark harness: detectors x data sets under one stated protocol, each cell in a process of its own.

config.py  what a run is          plan.py    the cells and their identity     protocol.py  split, scale, leak checks
cell.py    what a child does      run.py     processes, limits, resume        ledger.py    the SQLite record
stats.py   paired statistics      tables.py  the record as tables             report.py    one HTML page
"""
