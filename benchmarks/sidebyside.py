"""What the side-by-side benchmarks share: one pinned thread, alternating runs, medians, a line of facts about the machine.

OMP_NUM_THREADS and the like must be set before torch and NumPy are imported, so import this first.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import platform  # noqa: E402
import statistics  # noqa: E402
import time  # noqa: E402


def pin():
    """Keeps the process on one processor (the last that it may use)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine():
    """Processor, load and threads, in a line."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, one pinned thread, load {os.getloadavg()[0]:.2f} at the start"


def alternate(runs, repeats):
    """{name: seconds of each run}. runs: {name: function}; each is called once unmeasured, then in turn."""
    for run in runs.values():
        run()
    seconds = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def report(seconds, ours, unit="", per=1.0):
    """Prints medians with their range, and the ratio of the others to ours."""
    base = statistics.median(seconds[ours])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:32} {median / per:9.4f} s{unit}  ({min(values) / per:.4f} to {max(values) / per:.4f})  {median / base:5.2f} x ours")
