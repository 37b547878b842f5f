"""What the runners of the rivals share: tasks in, one JSON line per task out.

It is imported by the interpreter of a rival, so it needs numpy only.
"""

import contextlib
import json
import math
import sys
import time

import numpy as np


def measure(estimate, arguments):
    """Print name, truth, estimate (nats) and seconds of each task as it finishes.

    ``estimate(x, y)`` gets the samples, shapes (n, p) and (n, q). ``arguments`` are the path of an
    npz with the keys ``NAME|x``, ``NAME|y`` and ``NAME|mi``, then names of tasks; without names
    all tasks are run. A task whose estimate raises or is not finite has an ``error`` in place of
    the ``estimate``. What the rival prints goes to stderr.
    """
    if not arguments:
        sys.exit(f"usage: {sys.argv[0]} DATA.npz [task names...]")
    path, *names = arguments
    with np.load(path) as data:
        tasks = [key.removesuffix("|mi") for key in data.files if key.endswith("|mi")]
        unknown = sorted(set(names) - set(tasks))
        if unknown:
            sys.exit(f"no task {', '.join(unknown)} in {path}; it has {', '.join(tasks)}")
        for name in names or tasks:
            x, y, truth = data[f"{name}|x"], data[f"{name}|y"], float(data[f"{name}|mi"])
            line = {"name": name, "truth": truth}
            start = time.perf_counter()
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    value = float(estimate(x, y))
                if not math.isfinite(value):
                    raise ValueError(f"the estimate is {value}")
                line["estimate"] = value
            except Exception as error:
                line["error"] = f"{type(error).__name__}: {error}"
            line["seconds"] = round(time.perf_counter() - start, 3)
            print(json.dumps(line), flush=True)
