"""Serves a studio by waitress, until Ctrl-C."""

import ipaddress
import logging
import re
import socket
from contextlib import suppress

import waitress

from t0native.base.errors import ConfigError
from t0native.base.interrupts import Terminated
from t0native.base.showing import shown
from t0native.studio.app import Studio, create_app
from t0native.studio.connections import Connection
from t0native.studio.rowfiles import MAX_UPLOAD_BYTES

__all__ = ["serve"]

EVERYWHERE = ("0.0.0.0", "::")  # all addresses of the machine
THREADS = 24  # a page holds one while its preview waits


def serve(
    folder, port=8765, listen="127.0.0.1", users=None, read_only=False, hosts=(), model=None, base_path="", https=False,
    add_eos_to_inputs=None,
):  # fmt: skip
    """Opens the studio of a folder. ConfigError for settings that are unsafe or wrong, OSError where the port is taken."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port {port}: must be a whole number from 0 to 65535")
    if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)*", base_path):
        raise ConfigError(f"--base-path {shown(base_path)}: must be as in /studio, without a slash at its end")
    if users is None and not _is_loopback(listen):
        raise ConfigError(f"--listen {listen}: other machines can reach it, and anybody could write: give --users FILE too")
    trusted = hosts if listen in EVERYWHERE else [*hosts, _printed(listen)]  # what is printed below can be opened
    studio = Studio(folder, users, read_only, trusted, model, add_eos_to_inputs=add_eos_to_inputs)
    try:
        if studio.accounts is not None and not len(studio.accounts):
            raise ConfigError(f"{users}: no users in it; `t0native studio adduser NAME --users {users}` adds one")
        app = create_app(studio, https, base_path)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that a request waits for a thread is no news
        bound = _bind(listen, port)
        server = waitress.create_server(
            app, sockets=[bound], threads=THREADS, url_prefix=base_path, ident=None, max_request_body_size=MAX_UPLOAD_BYTES + (1 << 20),
            connection_limit=500, channel_timeout=60, clear_untrusted_proxy_headers=True,
        )  # fmt: skip
        server.channel_class = Connection
        address = _printed(listen, () if https else hosts)
        with suppress(KeyboardInterrupt, Terminated):  # from the first word on a signal is how it ends
            print(f"prompt studio: http://{address}:{bound.getsockname()[1]}{base_path}/   (Ctrl-C ends it)", flush=True)
            if listen in EVERYWHERE and not hosts:
                print("other machines are refused until --host-name says under which name or address they open it", flush=True)
            for sentence in studio.left_out[:5]:
                print(f"left out: {sentence}", flush=True)
            server.run()
    finally:
        studio.close()


def _printed(listen, hosts=()):
    """The host of the printed address. hosts: names under which a browser reaches all addresses of the machine."""
    if listen in EVERYWHERE:
        return next(iter(hosts), "127.0.0.1")
    return f"[{listen}]" if ":" in listen else listen


def _is_loopback(listen):
    try:
        return ipaddress.ip_address(listen).is_loopback
    except ValueError:
        return listen == "localhost"


def _bind(listen, port):
    try:
        return socket.create_server((listen, port), family=socket.AF_INET6 if ":" in listen else socket.AF_INET)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: choose another --port, or end what serves there", f"{listen}:{port}") from None
