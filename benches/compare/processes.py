"""Whole processes, from the files to the scores of the test split: `timesclip train --effort fast` beside
aeon's MiniRocket with its ridge.

    python processes.py TIMESCLIP FOLDER_OF_SETS [RUNS]

TIMESCLIP is the program; a set is FOLDER/NAME/NAME_TRAIN.ts and NAME_TEST.ts. Each process is run RUNS
times (3), one after the other; seconds are the least, memory is the largest. Needs aeon and scikit-learn.
aeon's ridge has no probabilities: its log loss is that of certainty, clipped as scikit-learn clips.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def aeon(train, test):
    """The other process: one fit and one test, printed as JSON."""
    import numpy as np
    from aeon.classification.convolution_based import MiniRocketClassifier
    from aeon.datasets import load_from_ts_file
    from sklearn.metrics import accuracy_score, log_loss

    (x, y), (x_test, y_test) = load_from_ts_file(train), load_from_ts_file(test)
    if isinstance(x, list):  # unequal lengths: zeros to the longest training series
        longest = max(s.shape[1] for s in x)
        fit = lambda series: np.stack([np.pad(s[:, :longest], ((0, 0), (0, max(0, longest - s.shape[1])))) for s in series])
        x, x_test = fit(x), fit(x_test)
    model = MiniRocketClassifier(random_state=1, n_jobs=os.cpu_count()).fit(x, y)
    p = model.predict_proba(x_test)
    best = model.classes_[p.argmax(1)]
    print(json.dumps([accuracy_score(y_test, best), log_loss(y_test, p, labels=model.classes_)]))


def measure(command, runs, read):
    seconds, memory = [], 0
    for _ in range(runs):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, command
        seconds.append(time.perf_counter() - started)
        memory = max(memory, usage.ru_maxrss / 1024)
    accuracy, loss = read(out)
    return f"{accuracy:.4f} / {loss:.3f} | {min(seconds):.1f} s, {memory:.0f} MB"


def main(program, folder, runs=3):
    print("| set | timesclip, `full` | | timesclip, `kernels_only` | | aeon, MiniRocket | |")
    print("|---|---|---|---|---|---|---|")
    for path in sorted(Path(folder).iterdir()):
        train, test = (path / f"{path.name}_{part}.ts" for part in ("TRAIN", "TEST"))
        if not train.exists():
            continue
        row = []
        for model in ("full", "kernels_only"):
            with tempfile.TemporaryDirectory() as out:

                def read(_, out=out):
                    test = json.loads((Path(out) / "run" / "report.json").read_text())["test"]
                    return test["accuracy"], test["log_loss"]

                command = f"rm -rf {out}/run && exec {program} train {train} --test-data {test} --effort fast --model-type {model} --quiet --out {out}/run"
                row.append(measure(["sh", "-c", command], runs, read))
        command = [sys.executable, __file__, "--aeon", str(train), str(test)]
        row.append(measure(command, runs, lambda out: json.loads(out.splitlines()[-1])))
        print(f"| {path.name} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--aeon":
        aeon(*sys.argv[2:])
    else:
        main(*sys.argv[1:3], *map(int, sys.argv[3:]))
