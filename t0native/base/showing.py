"""How values of a file or of a caller stand in messages: short and printable, and never an error themselves, whatever they are.

    shown(value)        as Python writes it, texts in quotes; what is long is cut in its midst, what is deep is "..."
    named(name)         a name in a sentence: bare where it is short and printable, else as shown
    listed(names)       names with commas, ", ..." where there are more
    printable(text)     the message of another library, which may hold what it read

A name may be megabytes long, hold a terminal's escapes ("\\x1b[2J" clears the screen) or halves of surrogate pairs, which no stream takes;
a number may have more digits than Python turns into text."""

import reprlib

__all__ = ["listed", "named", "printable", "shown"]

_MOST_CHARACTERS, _LONGEST_NAME = 300, 120
_MOST_BITS = 10_000  # of a number that is written out before it is cut: some 3,000 digits, and Python's limit is 4,300


class _Short(reprlib.Repr):
    def __init__(self):
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 2, 80, 80, 40

    def repr_int(self, x, level):
        return super().repr_int(x, level) if x.bit_length() <= _MOST_BITS else f"a number of {x.bit_length():,} bits"

    def repr_bytes(self, x, level):
        return self.repr_str(x, level)

    def repr_dict(self, x, level):
        """In the order of its keys; reprlib would sort them first, all of them, however many there are."""
        if level <= 0:
            return "{...}" if x else "{}"
        pairs = [f"{self.repr1(key, level - 1)}: {self.repr1(x[key], level - 1)}" for key, _ in zip(x, range(self.maxdict))]
        return f"{{{', '.join(pairs + ['...'] * (len(x) > len(pairs)))}}}"

    def repr_instance(self, x, level):
        return " ".join(super().repr_instance(x, level).split())


_short = _Short()


def shown(value):
    """
    >>> shown(2.5), len(shown("long" * 1000)), shown([[[[1]]]]), shown("\\x1b[2J"), shown(10**5000)
    ('2.5', 80, '[[[...]]]', "'\\\\x1b[2J'", 'a number of 16,610 bits')
    """
    return printable(repr(value) if isinstance(value, float) else _short.repr(value))


def printable(text):
    """
    >>> printable("found \\x07"), len(printable("long" * 1000))
    ('found \\\\x07', 300)
    """
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS // 2]} ... {text[5 - _MOST_CHARACTERS // 2 :]}"
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return text


def named(name):
    """
    >>> named("shared.weight"), named("two\\nlines"), named(""), named(7)
    ('shared.weight', "'two\\\\nlines'", "''", '7')
    """
    bare = isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable() and name == name.strip()
    return name if bare else shown(name)


def listed(names, most=12):
    """
    >>> listed(["a", "b", "c"]), listed("abc", most=2)
    ('a, b, c', 'a, b, ...')
    """
    first = [named(name) for name, _ in zip(names, range(most + 1))]
    return ", ".join(first[:most]) + (", ..." if len(first) > most else "")
