"""Rows in, answers out: what predict, classify, rank and generate do with a file of any size.

    a file, or standard input --rows--> asks --chunks--> answers --lines--> standard output, or FILE.part, which becomes FILE

An answer is a line in the order of the rows, with the row's own fields before it. Memory is that of a chunk. Ctrl-C leaves whole lines,
and says how many; the same command goes on from FILE.part (base/partfile.py)."""

import itertools
import os
import sys
import time
from pathlib import Path

from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.interrupts import Interrupts, Terminated
from t0native.base.progress import BAR_DELAY, Progress, clock
from t0native.base.showing import listed, shown
from t0native.cli.verbs import FAILED, FINE, json_option, load_model, note, print_json, types_option
from t0native.data.forms import FORMS, OUT_FORMS

__all__ = ["AnswerFile", "facts_of", "output_options", "rows_options"]

LOOKED_AT = 100  # rows, before the model is loaded
MEASURED, WORTH_TELLING = 0.5, 2.0  # seconds: what the estimate rests on, and what it must be to be told


def rows_options(parser):
    parser.add_argument("--from", dest="form", choices=FORMS, help="what the rows are in, where the ending does not say it (- : text)")
    types_option(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="rows at most")


def output_options(parser, to):
    """to: the form where nothing says another."""
    help = "where answers go: .jsonl, .csv, .tsv or .txt, or - for stdout; interrupted, the same command goes on"
    parser.add_argument("--out", metavar="FILE", help=help).dash = True
    parser.add_argument("--to", choices=OUT_FORMS, help=f"what answers are in, where --out does not say it (default: {to})")
    parser.add_argument("--keep", metavar="FIELDS", default="all", help="fields of the rows that go along: all (the default), none, or a,b")
    parser.add_argument("--force", action="store_true", help="with --out: a file that is there is replaced, and nothing gone on with")
    json_option(parser, "JSON Lines; with --out, what became of it as an object")


class AnswerFile:
    """One run over a file of rows.

    args: of a verb with the options above.  stream: RowStream.  per_row: asks of a row.  asks: a function (rows, number of the first) ->
    Asks.  record: a function of an Answer -> {field: value}.  fields: of a record.  text: the one of them that is the
    answer."""

    def __init__(self, args, stream, per_row, asks, record, fields, text):
        self.args, self.stream, self.per_row, self._asks, self._record = args, stream, per_row, asks, record
        args.out = None if args.out == "-" else args.out
        if args.json and args.out is None and args.to not in (None, "jsonl"):
            raise ConfigError(f"--json and --to {args.to}: answers are printed in one form; leave one out, or --out FILE")
        self.fields, self.text, self._without = fields, text, None
        self._rows = iter(stream if args.limit is None else itertools.islice(stream, args.limit))
        self.first = list(itertools.islice(self._rows, LOOKED_AT))
        if not self.first:
            raise DataError(f"{stream.name}: no rows")
        self.total = None if stream.total is None else min(stream.total, args.limit or stream.total) * per_row
        self._kept = self._find_kept()

    def look(self, n):
        """The first n rows, or all where there are fewer; they are answered all the same."""
        self.first += itertools.islice(self._rows, max(0, n - len(self.first)))
        return self.first[:n]

    def leave_out(self, field):
        """A field of the rows that is called as records call the same text, input, goes along no more; returns it."""
        if self.args.keep == "all" and field in self.fields:
            self._without = field
            self._kept.pop(field, None)
        return field

    # ---- what is written -------------------------------------------------------------------------------------------------

    def _find_kept(self):
        """{field of the rows: its name in a record}; None: all of them, whatever they are."""
        names, keep = list(dict.fromkeys(name for row in self.first for name in row)), self.args.keep
        if keep == "none":
            return {}
        chosen = names if keep == "all" else [name.strip() for name in keep.split(",") if name.strip()]
        for name in chosen:
            if name not in names:
                raise ConfigError(f"--keep {name}: no field of {self.stream.name}; {suggest(name, names)}")
        if not chosen:
            raise ConfigError(f"--keep {shown(keep)}: must be all, none, or names of fields: {listed(names)}")
        return {name: self._name_kept(name, [other for other in names if other != name]) for name in chosen}

    def _name_kept(self, name, others):
        """The name with "row." before it, as often as it takes to be no field of a record and none of the others."""
        while name in self.fields or name in others:
            name = f"row.{name}"
        return str(name)

    def _line(self, answer):
        row, kept = answer.ask.row, self._kept
        if self.args.keep == "all" and not kept.keys() >= row.keys() - {self._without}:  # a row with more fields than the first ones
            kept = dict(kept)
            for name in [name for name in row if name not in kept and name != self._without]:
                kept[name] = self._name_kept(name, [*kept.values(), *(other for other in row if other != name)])
        return {new: row[name] for name, new in kept.items() if name in row} | self._record(answer)

    def _writer(self, form):
        from t0native.data.rowwriter import RowWriter

        return RowWriter(form, [self.text] if form == "text" else [*self._kept.values(), *self.fields])

    # ---- the run ---------------------------------------------------------------------------------------------------------

    def run(self, ranking, generation, job, over=None):
        """Answers everything; returns the exit code. ranking, generation: keywords of the model's methods.  job: what a part of the results
        hangs on beside rows and model.  over: a function of the loaded model; what it gives is asked in the model's place."""
        from t0native.base.partfile import PartFile
        from t0native.data.rowwriter import form_of

        args, self._over = self.args, over
        if args.out is None:
            form = args.to or ("jsonl" if args.json or self.text in ("prediction", "label") else "text")
            return self._run(_Pipe(self._writer(form)), form, ranking, generation)
        if Path(args.out).is_dir():
            raise ConfigError(f"--out {args.out}: a folder; name a file, as {Path(args.out, 'answers.jsonl')}")
        form = args.to or form_of(args.out)
        if not os.path.lexists(args.out) or Path(args.out).is_file():
            with PartFile(args.out, self._job(job, form), args.force) as file:
                return self._run(_Named(file, self._writer(form)), form, ranking, generation)
        with open(args.out, "wb", buffering=0) as device:
            return self._run(_Pipe(self._writer(form), device), form, ranking, generation)

    def _job(self, job, form):
        args = self.args
        once = self.stream.name == "standard input" or any(
            not Path(file).is_file() for file in self.stream.files
        )  # nothing tells pipes apart
        rows = [str(time.time_ns())] if once else facts_of(self.stream.name)
        rows += [fact for file in self.stream.files[1:] for fact in facts_of(file)] + ([args.form] if args.form else [])
        model = [args.model, args.revision, args.dtype, args.tokenizer, args.add_eos_to_inputs, *facts_of(args.model)]
        return job | {"rows": [*rows, args.limit, args.types], "model": model, "format": [form, list(self._kept.items())]}

    def _run(self, sink, form, ranking, generation):
        from t0native.prediction.answers import answer_all

        model = load_model(self.args) if self._over is None else self._over(load_model(self.args))
        done, counts = sink.done, _Counts()
        if done:
            note(f"{self.args.out}.part: {done:,} answers are there; going on")
        asks = self._asks(itertools.islice(itertools.chain(self.first, self._rows), done // self.per_row, None), done // self.per_row)
        asks = itertools.islice(asks, done % self.per_row, None)
        try:
            with (
                Progress(self.args.verb, self.total or 0, on=self.total is not None, done=done, delay=BAR_DELAY) as bar,
                Interrupts("the rows at hand are being written") as signals,
            ):
                chunks = answer_all(model, asks, ranking, generation, lambda now: bar.update(sink.done + now))
                pace = _Pace(self.total, self.per_row)
                sink.begin()
                while True:
                    with signals.allowed():
                        answers = next(chunks, None)
                    if answers is None:
                        break
                    sink.write([self._line(answer) for answer in answers])
                    counts.add(answers)
                    pace.tell(sink.done, len(answers))
                    bar.update(sink.done)
                sink.finish()
        except (KeyboardInterrupt, Terminated) as error:
            error.told = sink.told(self.total)
            raise
        except Exception as error:
            if sink.done and not isinstance(error, BrokenPipeError):  # of `| head` nobody asks how many
                note(sink.told(self.total))
            raise
        return self._tell(sink, counts)

    def _tell(self, sink, counts):
        if self.args.out is not None:
            note(
                f"{self.args.out}: {sink.done:,} answers"
                + (f" ({sink.done - counts.all:,} of an earlier run)" if sink.done != counts.all else "")
            )
            if self.args.json:
                print_json({"path": self.args.out, "answers": sink.done, "without": counts.without})
        if counts.without:
            note(f"{counts.without:,} of {counts.all:,} without an answer; the first, row {counts.first.ask.number}: {counts.first.reason}")
        return FAILED if counts.all and counts.without == counts.all else FINE


class _Counts:
    """How many answers there were, how many asks got none, and the first of these."""

    def __init__(self):
        self.all = self.without = 0
        self.first = None

    def add(self, answers):
        self.all += len(answers)
        for answer in answers:
            if answer.reason is not None:
                self.without += 1
                self.first = self.first or answer


class _Pace:
    """Tells once, as soon as it is known, how long all of it will take."""

    def __init__(self, total, per_row):
        self._total, self._per_row, self._told = total, per_row, total is None
        self._began = self._last = time.monotonic()

    def tell(self, done, n):
        now, last = time.monotonic(), self._last
        self._last = now
        if self._told or now - self._began < MEASURED:
            return
        self._told, rate = True, n / max(1e-9, now - last)
        left = (self._total - done) / rate
        if left >= WORTH_TELLING:
            what = f"{self._total // self._per_row:,} rows" + (f" under {self._per_row} prompts" if self._per_row > 1 else "")
            note(f"{what}: about {clock(left)} to go, by the first {done:,} ({rate:,.1f} answers/s)")


class _Pipe:
    """Standard output, or what is no plain file."""

    def __init__(self, writer, file=None):
        self._writer, self._file, self.done = writer, file, 0

    def begin(self):
        self._put(self._writer.head)

    def write(self, lines):
        self._put(self._writer.encode(lines))
        self.done += len(lines)

    def _put(self, data):
        if self._file is not None:
            while data:
                data = data[self._file.write(data) :]
        elif hasattr(sys.stdout, "buffer"):
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            sys.stdout.write(data.decode())

    def finish(self):
        pass

    def told(self, total):
        return f"{self.done:,}{'' if total is None else f' of {total:,}'} answers are written, each a whole line"


class _Named:
    """A PartFile."""

    def __init__(self, file, writer):
        self._file, self._writer, self._finished = file, writer, False

    @property
    def done(self):
        return self._file.rows

    def begin(self):
        if self.done == 0:
            self._file.write(self._writer.head, 0)

    def write(self, lines):
        self._file.write(self._writer.encode(lines), len(lines))

    def finish(self):
        self._file.finish()
        self._finished = True

    def told(self, total):
        if self._finished:
            return f"all {self.done:,} answers are in {self._file.path}"
        if not self.done:
            return f"nothing is written to {self._file.path} yet"
        of = "" if total is None else f" of {total:,}"
        return f"{self.done:,}{of} answers are in {self._file.part}; the same command goes on from there"


def facts_of(place):
    """[path, size, time of each file] of a file or folder, or the name of what is none."""
    path = Path(place)
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    facts = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.is_file()]
    return [str(path.resolve()) if files else str(place), facts]
