"""SIGKILL at any moment: what stands under a final name is whole, and the next run ends with the same bytes.

One process imports odkit and forks a job per kill, so that a kill costs a fork and not an import.
"""

import json
import subprocess
import sys

FORKS = """
import json, os, random, shutil, signal, sys, time
from pathlib import Path
import numpy as np, pandas as pd
from pyarrow import parquet
from odkit import ECOD, model_file
from odkit.jobs import plan, streams
from odkit.jobs.run import score_files

root = Path(sys.argv[1])
plan.PART_ROWS, streams.CSV_ROWS = 1000, 1000
rng = np.random.default_rng(0)
(root / "in").mkdir()
for i in range(3):
    frame = pd.DataFrame(rng.normal(size=(4000, 4)), columns=list("abcd")).assign(id=np.arange(4000))
    frame.to_parquet(root / "in" / f"{i}.parquet", index=False, row_group_size=500)
frame.to_csv(root / "in" / "3.csv", index=False)
model_file.save(ECOD().fit(frame[list("abcd")]), root / "m.odkit")

def start(out):
    pid = os.fork()
    if pid == 0:
        score_files(root / "m.odkit", [root / "in"], out, keys=["id"], workers=2)
        os._exit(0)
    return pid

def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def contents(out):
    files = [path for path in out.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}

whole, out = root / "whole", root / "out"
began = time.monotonic()
assert wait(start(whole)) == 0
duration = time.monotonic() - began
wanted = contents(whole)
draw = random.Random(0)
kills = finished = stray = unreadable = lost = different = early = 0
while kills < 20:
    done = len(list(out.glob("_parts/*")))
    pid = start(out)
    time.sleep(draw.uniform(0, 0.5 * duration))
    os.kill(pid, signal.SIGKILL)
    if wait(pid) == 0:
        finished += 1
        different += contents(out) != wanted
        shutil.rmtree(out)
        continue
    kills += 1
    found = contents(out) if out.exists() else {}
    stray += any(name not in wanted and not name.startswith(".tmp/") for name in found)
    early += "_SUCCESS" in found and len(list(out.glob("_parts/*"))) < len(list(whole.glob("_parts/*")))
    lost += len(list(out.glob("_parts/*"))) < done
    for name in found:
        if name.startswith("part-"):
            unreadable += found[name] != wanted[name]
    if "_SUCCESS" in found:
        shutil.rmtree(out)
assert wait(start(out)) == 0
different += contents(out) != wanted
names = sorted(path.name for path in out.iterdir())
print(json.dumps({
    "kills": kills, "stray": stray, "unreadable": unreadable, "lost": lost, "different": different, "early": early,
    "parts": len(list(out.glob("part-*"))), "others": [name for name in names if not name.startswith("part-")],
}))
print(finished, duration, file=sys.stderr)
"""


def test_twenty_kills(tmp_path):
    done = subprocess.run([sys.executable, "-c", FORKS, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "kills": 20,
        "stray": 0,
        "unreadable": 0,
        "lost": 0,
        "different": 0,
        "early": 0,
        "parts": 16,
        "others": [".lock", "_SUCCESS", "_manifest.json", "_parts"],
    }
