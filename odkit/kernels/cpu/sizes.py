"""Where one way of computing gives way to another: every constant that was set by measuring, in one table.

`python -m benchmarks.speed.ecod --crossovers` prints the measurements behind the first three; the others were measured
once, when the code that they steer was written.

| constant | decides | set by |
|---|---|---|
| `NUMPY_CELLS` | fewer look-ups are numpy's, in a process that has not loaded numba | the second that loading takes |
| `LEAST_ROWS` | rows that a further thread must get | each chunk reads the keys of all features again |
| `MOST_ROWS` | rows of a chunk | scratch of 8 features, 8 bytes a value |
| `LOCKSTEP_ROWS` | rows that walk through the keys together | more misses overlap than a core can have open |
| `LOCKSTEP_FEATURES` | features copied from the rows at once | a cache line of float64 |
| `SORTED_FEATURES` | features sorted at once in a fit | 32 bytes of scratch a row, two threads busy |
| `THIN_STEP`, `STAIR_STEP` | look-ups that a step of a thinning or staircase walk in numpy costs | as `NUMPY_CELLS` |
| `EM_WORK` | multiplications of an EM pass from which loading numba pays | two seconds of loading, ten passes |
| `EM_FEATURES` | from here on BLAS makes up for computing both triangles | passes with 100 to 300 columns |
| `TREE_FEATURES` | columns up to which a k-d tree finds neighbours | scikit-learn's own choice |

How rows are searched is no entry: the lockstep search is the fastest for every number of rows and of keys up to 3e6
(`docs/decisions/011-ecod-search.md`, where its rivals are).
"""

__all__ = [
    "EM_FEATURES",
    "EM_WORK",
    "LEAST_ROWS",
    "LOCKSTEP_FEATURES",
    "LOCKSTEP_ROWS",
    "MOST_ROWS",
    "NUMPY_CELLS",
    "SORTED_FEATURES",
    "STAIR_STEP",
    "THIN_STEP",
    "TREE_FEATURES",
]

NUMPY_CELLS = 5_000_000
LEAST_ROWS = 16_384
MOST_ROWS = 131_072
LOCKSTEP_ROWS = 64  # this and the next are written again in `ecdf_jit.py`: numba's cache looks at that file alone
LOCKSTEP_FEATURES = 8
SORTED_FEATURES = 4
THIN_STEP = 10
STAIR_STEP = 50
EM_WORK = 2e8
EM_FEATURES = 192
TREE_FEATURES = 15
