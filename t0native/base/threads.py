"""How many threads the C core may use: one setting for the process, which a model or a call can override."""

import os

from t0native._core import MAX_THREADS, cpu_count
from t0native.base.arguments import check, whole

__all__ = ["THREADS", "chosen_threads", "get_num_threads", "set_num_threads"]

THREADS = whole(1, MAX_THREADS)
_chosen = None


def set_num_threads(n: int) -> None:
    """Threads of every later call, 1 to 256; results do not depend on the number. ConfigError out of that range.

    >>> before = get_num_threads()
    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(before)
    """
    global _chosen
    _chosen = check(THREADS, "threads", n)


def get_num_threads() -> int:
    """What set_num_threads set, else T0NATIVE_NUM_THREADS, else the processors that this process may use.

    >>> get_num_threads() >= 1
    True
    """
    chosen = chosen_threads()
    return min(cpu_count(), MAX_THREADS) if chosen is None else chosen


def chosen_threads() -> int | None:
    """What set_num_threads set, else T0NATIVE_NUM_THREADS, else None.

    >>> chosen_threads() in (None, get_num_threads())
    True
    """
    if _chosen is not None:
        return _chosen
    text = os.environ.get("T0NATIVE_NUM_THREADS", "")
    return check(THREADS, "T0NATIVE_NUM_THREADS", int(text) if text.isascii() and text.isdecimal() else text) if text else None
