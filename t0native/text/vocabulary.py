"""Training a vocabulary. The work is sentencepiece's (Kudo 2018); T5's conventions are ours:

<pad> 0, </s> 1, <unk> 2, no piece for a beginning; unigram; normaliser nmt_nfkc; sentinels are not in the file."""

import io

from t0native.base.arguments import FLAG, check, whole
from t0native.base.errors import ConfigError, DataError
from t0native.base.files import check_place, write_bytes
from t0native.text.tokenizer import Tokenizer

__all__ = ["train_vocabulary"]


def train_vocabulary(texts, out, size=32000, byte_fallback=False):
    """Makes a SentencePiece model of the lines of text files and writes it to `out`; returns the Tokenizer of it.

    texts: paths of UTF-8 files, a sentence or paragraph a line.  size: pieces, with the three special ones.
    byte_fallback: 256 of the pieces stand for bytes, so that no character is unknown (T5's own model has none of these).
    The same texts and size give the same bytes. ConfigError without the sentencepiece package; DataError for a file that is
    not UTF-8 (with its line), and where the texts cannot give so many pieces; OSError as always.

        train_vocabulary(["corpus.txt"], "spiece.model", size=8000)
    """
    try:
        import sentencepiece
    except ImportError:
        raise ConfigError("a vocabulary is trained by the sentencepiece package: pip install sentencepiece") from None
    size, byte_fallback = check(whole(4, 2**22), "size", size), check(FLAG, "byte_fallback", byte_fallback)
    check_place(out)
    lines, model = _TextLines(texts), io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model, vocab_size=size, byte_fallback=byte_fallback, model_type="unigram",
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, max_sentence_length=1 << 20, num_threads=1, minloglevel=3,
        )  # fmt: skip
    except (RuntimeError, OSError, SystemError) as error:
        if lines.error:
            raise lines.error from None
        why = str(error).rpartition("] ")[2].split(" or decrease")[0] if lines.count else "there is no text"
        raise DataError(f"{lines.count} lines do not give a vocabulary of {size} pieces: {why}") from None
    if lines.error:
        raise lines.error
    tokenizer = Tokenizer.from_bytes(model.getvalue())
    write_bytes(out, model.getvalue())
    return tokenizer


class _TextLines:
    """The lines of files, without their ends. An exception is kept in `error` and ends them: it would not pass through C++."""

    def __init__(self, paths):
        self.paths, self.count, self.error = list(paths), 0, None

    def __iter__(self):
        try:
            for path in self.paths:
                with open(path, "rb") as file:
                    for number, line in enumerate(file, 1):
                        yield _text(path, number, line)
                        self.count += 1
        except (OSError, DataError) as error:
            self.error = error


def _text(path, number, line):
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: byte 0x{line[error.start]:02x} at {error.start} of the line is not UTF-8") from None
