"""A fitted detector as one file that is safe to load: a zip of `meta.json` and `.npy` arrays, no pickle.

Loading runs nothing that the file brings: classes are looked up in tables of `classes.py`, parameters pass the class's
own constraints, arrays are plain numbers whose sizes are checked before memory is asked for.

What a detector must do to be stored: keep in its attributes only numbers, text, None, plain numpy arrays, tuples, lists
and dicts of these, the named tuples of `classes.RECORDS`, and other estimators that can be stored. Two hooks are
optional:

- `_check_state(self)`: raise ValueError if the attributes, each well-formed by itself, do not fit together. It runs
  after loading. A detector whose compiled kernels check no bounds must have it: it makes a hostile file harmless.
- `_rebuild(self)`: make again, after loading, the attributes that the detector names in `_rebuilt` (a tuple of names),
  which are not stored.

joblib, pickle and skops work beside this file: see `docs/decisions/051-model-file.md` for what each costs.
"""

from odkit.model_file.archive import ModelFileError
from odkit.model_file.files import fingerprint, inspect, load, save

__all__ = ["ModelFileError", "fingerprint", "inspect", "load", "save"]
