"""What happens before a command begins: flags that cannot be read, and Ctrl-C while the program starts."""

import json
import sys

import pytest

import stfmkit.cli
from stfmkit.cli import _app
from stfmkit.errors import InputError
from stfmkit.service import make_request, read_request
from stfmkit.service.bench import contenders_of, kept_in


def test_a_flag_that_cannot_be_read_is_json(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stfmkit", "bench", "d.h5ad", "--json", "--n-splits", "two"])
    with pytest.raises(SystemExit) as caught:
        stfmkit.cli.main()
    told = json.loads(capsys.readouterr().out)
    assert caught.value.code == 2
    assert (told["command"], told["status"]) == ("bench", "failed")
    assert "n-splits" in told["found"]


def test_a_request_that_cannot_be_made_names_its_command(monkeypatch, capsys, tmp_path):
    (tmp_path / "r.yaml").write_text("command: models\nfamilly: rna\n")
    for arguments in (["run", str(tmp_path / "r.yaml")], ["bench", "d.h5ad"]):
        monkeypatch.setattr(sys, "argv", ["stfmkit", *arguments, "--json"])
        with pytest.raises(SystemExit) as caught:
            stfmkit.cli.main()
        told = json.loads(capsys.readouterr().out)
        assert caught.value.code == 2
        assert told["command"] == ("models" if arguments[0] == "run" else "bench")
        assert told["seconds"] > 0


def test_a_stop_while_the_program_starts(monkeypatch, capsys):
    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(_app, "main", stop)
    with pytest.raises(SystemExit) as caught:
        stfmkit.cli.main()
    assert caught.value.code == 130
    assert "Stopped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.yaml", "command: models\nfamily: rna\nfamily: baseline\n"),
        ("r.yaml", "bench:\n  contenders:\n    a: {model: x, model: y}\n"),
        ("r.json", '{"command": "models", "family": "rna", "family": "baseline"}'),
    ],
)
def test_a_field_that_is_there_twice(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="is there twice"):
        read_request(tmp_path / name)


def test_methods_in_a_request():
    fields = {"data": "d.h5ad", "out": "r", "patient_key": "p", "sample_key": "s"}
    spec = {"method": "annotate/knn", "embedding_key": "X", "label_key": "l"}
    request = make_request({"command": "bench", **fields, "contenders": {"votes": spec}})
    assert contenders_of(request.contenders) == {
        "votes": ("method:annotate/knn", {"embedding_key": "X", "label_key": "l"})
    }
    with pytest.raises(InputError, match="either `model:` or `method:`"):
        make_request({"command": "bench", **fields, "contenders": {"votes": {**spec, "model": "hvg_pca"}}})


def test_what_is_kept_is_what_is_there(tmp_path):
    assert kept_in(tmp_path / "none").startswith("Nothing was finished")
    (tmp_path / "finished").mkdir()
    assert kept_in(tmp_path).startswith("Nothing was finished")
    (tmp_path / "finished" / "a.entry").write_bytes(b"")
    assert kept_in(tmp_path).startswith("Finished units are kept")
