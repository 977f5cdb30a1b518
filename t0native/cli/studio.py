"""The verb studio: opens it, adds users, imports and exports prompts."""

import getpass
import sys
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.base.files import make_folder
from t0native.cli.targets import force_option
from t0native.cli.verbs import FINE, end_token_option, json_option, print_json, verb

__all__ = ["add_studio"]


def add_studio(verbs):
    examples = [
        "--data my/rows",
        "--data my/rows --users users.json --host-name prompts.example.org --https --base-path /studio",
        "--data my/rows --model my-t0",
        "--data my/rows --read-only",
        "adduser anna --users users.json --role reviewer",
        "import my/templates --data my/rows",
        "export out/ --data my/rows --accepted",
    ]
    parser = verb(verbs, "studio", _run_studio, "write, review and export prompts in a browser (docs/reference/studio.md)", examples)
    parser.add_argument(
        "what", nargs="?", choices=("open", "adduser", "import", "export"), default="open", help="open (the default) serves the pages"
    )
    parser.add_argument("subject", nargs="?", metavar="NAME|DIR", help="the user's name; the folder of prompts to read or to write")
    parser.add_argument("--data", metavar="DIR", help="rows, and .studio/ with all that is written; DIR/<dataset>[/<subset>]/<split>.jsonl")
    parser.add_argument("--port", type=int, default=8765, metavar="N", help="(default 8765)")
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDRESS", help="(default 127.0.0.1; another needs --users)")
    parser.add_argument("--users", metavar="FILE", help="who may log in; without it there is one local user")
    parser.add_argument("--role", default="writer", help="of adduser: reader, writer (the default) or reviewer")
    parser.add_argument("--read-only", action="store_true", help="nothing can be changed")
    parser.add_argument("--model", metavar="PATH", help="a checkpoint whose answers the writer can ask for")
    end_token_option(parser)
    parser.add_argument(
        "--host-name", action="append", default=[], metavar="NAME", help="a name under which browsers reach it; may be given again"
    )
    parser.add_argument("--base-path", default="", metavar="/PATH", help="where a proxy puts it")
    parser.add_argument("--https", action="store_true", help="browsers reach it by https alone (cookies are Secure)")
    force_option(parser, "of export: files that are there are replaced by others")
    json_option(parser)
    parser.add_argument("--accepted", action="store_true", help="of export: accepted prompts alone")


def _run_studio(args):
    return {"open": _open, "adduser": _add_user, "import": _import, "export": _export}[args.what](args)


def _require(value, what):
    if value is None:
        raise ConfigError(f"studio: {what}")
    return value


def _open(args):
    folder = _require(args.data, "--data DIR says where rows are and prompts are kept")
    try:
        from t0native.studio.server import serve
    except ImportError as error:
        if (error.name or "").split(".")[0] not in ("flask", "waitress", "werkzeug"):
            raise
        raise ConfigError(f"studio: {error.name} is not installed: pip install flask waitress") from None

    names = ("port", "listen", "users", "read_only", "model", "base_path", "https", "add_eos_to_inputs")
    serve(folder, hosts=args.host_name, **{name: getattr(args, name) for name in names})
    return FINE


def _add_user(args):
    from t0native.studio.accounts import Accounts

    name, path = (
        _require(args.subject, "adduser whom? as in t0native studio adduser anna --users users.json"),
        _require(args.users, "--users FILE says where users are kept"),
    )
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if sys.stdin.isatty() and getpass.getpass("Again: ") != password:
        raise ConfigError("studio: the two passwords differ")
    Accounts(path).add(name, password, args.role)
    print_json({"path": path, "name": name, "role": args.role}) if args.json else print(f"{path}: {name} is a {args.role}")
    return FINE


def _store(args):
    from t0native.studio.store import Store

    folder = Path(_require(args.data, "--data DIR says where prompts are kept"))
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; --data is that of the studio, with its rows")
    home = folder / ".studio"
    make_folder(home)
    return Store(home / "prompts.sqlite")


def _import(args):
    from t0native.studio.exchange import import_folder

    folder, store = _require(args.subject, "import what? as in t0native studio import my/templates --data my/rows"), _store(args)
    try:
        counts = import_folder(store, folder, "import")
    finally:
        store.close()
    if args.json:
        print_json(counts)
        return FINE
    new = f"{counts['new']} new prompt{'' if counts['new'] == 1 else 's'}"
    print(f"{_files(counts['files'])}: {new}, {counts['changed']} changed, {counts['unchanged']} as they were")
    return FINE


def _files(number):
    return f"{number} file{'' if number == 1 else 's'}"


def _export(args):
    from t0native.studio.exchange import export_folder

    folder, store = _require(args.subject, "export where? as in t0native studio export out/ --data my/rows"), _store(args)
    try:
        files = export_folder(store, folder, args.accepted, args.force)
        none = ": no prompt is accepted yet" if args.accepted and not files else ""
        print_json({"path": folder, "files": files}) if args.json else print(f"{folder}: {_files(files)}{none}")
    finally:
        store.close()
    return FINE
