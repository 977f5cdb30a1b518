"""Room for the next connection: requests that never end take no place from others.

    connections that wait (nothing of theirs is being answered) are at most MOST; with each that comes beyond, the one goes that has
    waited longest among those of the address that has the most

A browser opens a closed one anew by itself, and a request takes milliseconds to arrive; one that is held open half sent is what goes,
however often it is renewed. Behind a proxy all have one address, and the oldest goes."""

import time
from collections import Counter

from waitress.channel import HTTPChannel

__all__ = ["MOST", "Connection"]

MOST = 300


class Connection(HTTPChannel):
    """A connection of waitress, which knows since when it waits for the rest of a request."""

    def __init__(self, *arguments, **names):
        self.waits_since = time.monotonic()
        super().__init__(*arguments, **names)
        _make_room(self.server.active_channels.values())

    def received(self, data):
        taken = super().received(data)
        if self.request is None:  # whole requests alone have come
            self.waits_since = time.monotonic()
        return taken


def _make_room(connections):
    waiting = [one for one in connections if not (one.requests or one.total_outbufs_len or one.will_close or one.close_when_flushed)]
    if len(waiting) > MOST:
        ((address, _),) = Counter(one.addr[0] for one in waiting).most_common(1)
        min((one for one in waiting if one.addr[0] == address), key=lambda one: one.waits_since).will_close = True
