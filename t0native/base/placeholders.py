"""Files that stand in the place of others: what a download leaves that did not get the file itself."""

__all__ = ["stand_in"]


def stand_in(data):
    """What these first bytes of a file are instead of its content, with the remedy, or None.

    >>> stand_in(b"version https://git-lfs.github.com/spec/v1\\noid sha256:...")
    'a pointer of Git LFS, not the file itself: `git lfs pull` in its folder gets that'
    """
    start = bytes(data[:64]).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself: `git lfs pull` in its folder gets that"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not the file itself: download it again by the link that gives the file"
    return None
