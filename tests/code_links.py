"""Links of docs/code.md to lines: [`name`](../path#Lnnn) leads to the line that defines the name.

python tests/code_links.py --write      sets the numbers right"""

import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "code.md"
LINK = re.compile(r"\[(`?)([^\]`]+)`?\]\((\.\./[^)#]+)(?:#L(\d+))?\)")


def defining_line(path, name):
    """Number of the line that defines a function, method, class or type of this name in a source file, or None."""
    last = re.escape(name.split(".")[-1])
    if path.suffix == ".py":
        pattern = rf"\s*(?:def|class) {last}\b"
    else:
        pattern = rf"(?:[A-Za-z_][\w *]*?\b{last}\([^;]*$|[A-Za-z_].*\b{last}\(.*\{{)"
    return next((number for number, line in enumerate(path.read_text().splitlines(), 1) if re.match(pattern, line)), None)


def checked(text):
    """(the page with true numbers, what is wrong with it: sentences)."""
    problems = []

    def mend(match):
        quote, name, place, number = match.groups()
        path = (PAGE.parent / place).resolve()
        if not path.exists():
            problems.append(f"{place}: there is no such file")
            return match[0]
        if not quote or path.suffix not in (".py", ".c", ".h") or "/" in name:
            return match[0]
        line = defining_line(path, name)
        if line is None:
            problems.append(f"{place}: nothing there defines {name}")
            return match[0]
        if number != str(line):
            problems.append(f"{place}: {name} is defined in line {line}, the page says {number}")
        return f"[`{name}`]({place}#L{line})"

    return LINK.sub(mend, text), problems


if __name__ == "__main__":
    page, problems = checked(PAGE.read_text(encoding="utf-8"))
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
        problems = [problem for problem in problems if "the page says" not in problem]
    sys.exit("\n".join(problems))
