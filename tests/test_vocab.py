"""Training a vocabulary: the file, the messages, the command."""

import os
import subprocess
import sys

import pytest
from conftest import needed
from spiece_files import SENTENCES

import t0native as t0
from t0native.cli.main import main
from t0native.text.vocabulary import train_vocabulary

spm = needed("sentencepiece", "pip install '.[test]'", module_level=True)


@pytest.fixture
def corpus(tmp_path):
    file = tmp_path / "a, text.txt"
    file.write_text("\n".join(SENTENCES * 4) + "\n", encoding="utf-8")
    return file


def test_a_vocabulary_has_t5s_conventions(corpus, tmp_path):
    tok = train_vocabulary([corpus, corpus], tmp_path / "new/spiece.model", size=100)
    assert (tok.n_pieces, tok.vocab_size, tok.pad_id, tok.eos_id, tok.unk_id) == (100, 200, 0, 1, 2)
    assert (tmp_path / "new/spiece.model").read_bytes() == tok.model_bytes
    assert tok.encode_batch(SENTENCES).ids.tolist() == sum(spm.SentencePieceProcessor(model_proto=tok.model_bytes).encode(SENTENCES), [])
    again = train_vocabulary([corpus, corpus], tmp_path / "again.model", size=100)
    assert again.model_bytes == tok.model_bytes
    with_bytes = train_vocabulary([corpus], tmp_path / "bytes.model", size=340, byte_fallback=True)
    assert with_bytes.decode(with_bytes.encode("😀")) == "😀" and tok.unk_id in tok.encode("😀")


def test_the_command(corpus, tmp_path, capsys):
    assert main(["vocab", "train", str(corpus), "--out", str(tmp_path / "m"), "--size", "100"]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'm'}: 100 pieces, SHA-256 ")
    assert t0.Tokenizer.from_file(tmp_path / "m").n_pieces == 100


@pytest.mark.parametrize(
    "content, size, message",
    [
        (b"one\ntw\xffo\n", 100, r"text:2: byte 0xff at 2 of the line is not UTF-8"),
        (b"", 100, "0 lines do not give a vocabulary of 100 pieces: there is no text"),
        (b"one two three\n", 5000, r"1 lines do not .* 5000 pieces: Vocabulary size too high \(5000\). Please set it to a value <= \d+\.$"),
        ("\n".join(SENTENCES).encode(), 10, r"10 vs \d+. Increase vocab_size$"),
        (b"a b\n", 0, "size 0: must be a whole number from 4"),
        (None, 100, "No such file"),
    ],
)
def test_what_cannot_be_trained_is_told_and_leaves_no_file(tmp_path, content, size, message):
    if content is not None:
        (tmp_path / "text").write_bytes(content)
    before = os.listdir(tmp_path)
    with pytest.raises((t0.Error, FileNotFoundError), match=message):
        train_vocabulary([tmp_path / "text"], tmp_path / "model", size=size)
    assert os.listdir(tmp_path) == before


def test_without_the_package_the_extra_is_named(corpus, tmp_path):
    code = "import sys; sys.modules['sentencepiece'] = None; from t0native.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-P", "-c", code, "vocab", "train", str(corpus), "--out", str(tmp_path / "m")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "pip install sentencepiece" in done.stderr and not (tmp_path / "m").exists()
