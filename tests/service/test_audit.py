"""The audit as a request: what is found, how many errors, and the exit code of the terminal."""

import json
from pathlib import Path

import jsonschema
import pytest

import stfmkit as sk
from stfmkit.service import Failure, run, schemas
from stfmkit.service.audit import AuditRequest
from stfmkit.service.bench import BenchRequest

KEYS = {"patient_key": "patient", "sample_key": "sample", "label_key": "niche"}


def asked(spots: Path, **choices: object) -> dict[str, object]:
    return {"command": "audit", "data": str(spots), **KEYS, "n_splits": 4, **choices}


def test_what_is_found_is_what_the_library_finds(spots: Path) -> None:
    response = run(asked(spots, split="random", contenders=["hvg_pca"]))
    jsonschema.validate(json.loads(response.model_dump_json()), schemas()["audit"]["response"])
    protocol = sk.bm.Protocol(**KEYS, split=sk.pp.RandomKFold(4))
    found = sk.bm.audit(sk.io.read(spots), protocol, contenders=["hvg_pca"])
    assert response.findings == [finding.as_dict() for finding in found]
    assert response.n_errors == sum(finding.severity == "error" for finding in found) == 2


def test_nothing_is_asked_of_contenders_that_are_not_named(spots: Path) -> None:
    response = run(asked(spots))
    assert response.n_errors == 0
    assert isinstance(run(asked(spots, contenders=["hvg_pcaa"])), Failure)


def test_the_choices_are_those_of_a_comparison() -> None:
    own = {"out", "tasks", "allow", "n_jobs"}
    assert set(BenchRequest.model_fields) - own == set(AuditRequest.model_fields)
    given = {"data": "d", "patient_key": "p", "sample_key": "s", "rng": 3, "accessions": "GSE1,GSE2"}
    bench = BenchRequest.of({**given, "contenders": "a", "out": "o"})
    assert AuditRequest.of(given).protocol() == bench.protocol()
    assert bench.protocol().accessions == ("GSE1", "GSE2")


@pytest.mark.parametrize("allow", [None, ["patient on both sides", "neighbours on both sides"]])
def test_a_comparison_is_refused_unless_allowed(spots: Path, tmp_path: Path, allow: list[str] | None) -> None:
    request = {
        **asked(spots, split="random", contenders=["coordinates"], tasks=["domains"], out=str(tmp_path / "o")),
        "command": "bench",
        "allow": allow,
    }
    response = run(request)
    if allow is None:
        assert isinstance(response, Failure)
        assert "--allow 'patient on both sides' --allow 'neighbours on both sides'" in response.remedy
    else:
        assert response.status == "done"
        assert [f["check"] for f in response.findings if f["allowed"]] == allow
