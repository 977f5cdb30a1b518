"""Times of the store (2026-11-30T08:40:19Z) as people read them: how long ago, with the whole local time as the title. The server's own
zone; studio.js puts the browser's in its place."""

from datetime import datetime, timezone

from markupsafe import Markup

__all__ = ["ago", "when"]

DAYS = 30
STEPS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def ago(at, now):
    """A phrase for the time between two datetimes; the date in the zone of `at` where it is long.

    >>> now = datetime(2026, 11, 30, 9, 0, tzinfo=timezone.utc)
    >>> [ago(now.replace(**at), now) for at in ({"hour": 8, "minute": 57}, {"hour": 7}, {"day": 29}, {"minute": 0}, {"month": 5})]
    ['3 minutes ago', '2 hours ago', '1 day ago', 'just now', '30 May 2026']
    """
    seconds = (now - at).total_seconds()
    if seconds >= DAYS * 86400:
        return f"{at.day} {at:%B %Y}"
    for length, name in STEPS:
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def when(text):
    """A time of the store as an element <time>; a text that is none as it is."""
    try:
        at = datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return text or ""
    local = at.astimezone()
    title = f"{local.day} {local:%B %Y, %H:%M:%S} {local:UTC%z}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(text, title, ago(local, datetime.now(timezone.utc)))
