"""From what a caller says of weights to files, without a network."""

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import huggingface_hub
import pooch
import pytest

import stfmkit as sk
from stfmkit.errors import InputError, MissingFileError
from stfmkit.models import ModelCard, WeightFile, Weights
from stfmkit.models.catalogue import built_in
from stfmkit.models.weights.places import resolve_weights

CARD = ModelCard(
    name="net",
    target="somewhere:Net",
    family="rna",
    summary="A network.",
    needs=("counts",),
    weights=Weights(kind="hub", place="owner/net", revision="abc", folder="small", files=(WeightFile("net.bin"),)),
)


class Hub:
    """Stands for the hub: notes what is asked, and answers with a folder or an error."""

    def __init__(self, folder: Path, error: Exception | None = None) -> None:
        self.folder, self.error, self.asked = folder, error, {}

    def snapshot_download(self, place: str, **asked: Any) -> str:
        self.asked = {"place": place, **asked}
        if self.error is not None:
            raise self.error
        return str(self.folder)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """What the hub gives: a folder named by its commit."""
    folder = tmp_path / "0123abc"
    (folder / "small").mkdir(parents=True)
    (folder / "small" / "net.bin").write_bytes(b"weights")
    return folder


def answering(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Hub:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


def response_error(kind: str) -> Exception:
    error = getattr(huggingface_hub.errors, kind)
    return error.__new__(error)


def test_the_published_place_with_its_revision(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = answering(monkeypatch, Hub(snapshot))
    assert resolve_weights(CARD, None) == (snapshot / "small", "0123abc")
    assert hub.asked == {
        "place": "owner/net",
        "revision": "abc",
        "allow_patterns": ["small/net.bin"],
        "local_files_only": False,
    }


def test_another_repository_of_the_hub(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = answering(monkeypatch, Hub(snapshot))
    assert resolve_weights(CARD, "someone/else@v2")[1] == "0123abc"
    assert (hub.asked["place"], hub.asked["revision"], hub.asked["allow_patterns"]) == ("someone/else", "v2", None)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "STFMKIT_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_the_environment_may_forbid_the_network(snapshot: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    hub = answering(monkeypatch, Hub(snapshot))
    monkeypatch.setenv(name, "1")
    resolve_weights(CARD, None)
    assert hub.asked["local_files_only"] is True


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("GatedRepoError", "accept its terms"),
        ("RepositoryNotFoundError", "check the name"),
        ("LocalEntryNotFoundError", r"cannot be fetched from owner/net[\s\S]*weights='random'"),
        ("HfHubHTTPError", "cannot be fetched"),
    ],
)
def test_a_hub_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, match: str) -> None:
    answering(monkeypatch, Hub(tmp_path, response_error(kind)))
    with pytest.raises(MissingFileError, match=match):
        resolve_weights(CARD, None)


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, Hub(tmp_path, ConnectionError("no route")))
    with pytest.raises(MissingFileError, match="no route"):
        resolve_weights(CARD, None)


def test_checksums_and_missing_files(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, Hub(snapshot))
    assert CARD.weights is not None
    good = replace(CARD, weights=replace(CARD.weights, files=(WeightFile("net.bin", sha256(b"weights").hexdigest()),)))
    assert resolve_weights(good, None)[0] == snapshot / "small"
    bad = replace(CARD, weights=replace(CARD.weights, files=(WeightFile("net.bin", "00"),)))
    with pytest.raises(InputError, match=r"net\.bin of 'net' has the sha256"):
        resolve_weights(bad, None)
    gone = replace(CARD, weights=replace(CARD.weights, files=(WeightFile("other.bin"),)))
    with pytest.raises(MissingFileError, match=r"has no other\.bin"):
        resolve_weights(gone, None)


PINNED = "05fcbeb8a27d49e0a7a4349152202ee2c1cbfd28"
"""Revision of a card."""


@pytest.fixture
def moved_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """A card of a revision, at a hub whose authors have replaced the file since."""
    for commit, held in ((PINNED, b"weights"), ("newest", b"other weights")):
        (tmp_path / commit).mkdir()
        (tmp_path / commit / "net.bin").write_bytes(held)

    def snapshot_download(place: str, *, revision: str | None, **_: Any) -> str:
        if revision not in {None, "main", PINNED}:
            raise response_error("RevisionNotFoundError")
        return str(tmp_path / (PINNED if revision == PINNED else "newest"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    files = (WeightFile("net.bin", sha256(b"weights").hexdigest()),)
    return replace(CARD, weights=Weights(kind="hub", place="owner/net", revision=PINNED, files=files))


def test_a_card_stays_at_its_revision_when_the_hub_moves_on(moved_on: ModelCard, tmp_path: Path) -> None:
    assert resolve_weights(moved_on, None) == (tmp_path / PINNED, PINNED)
    assert resolve_weights(moved_on, f"owner/net@{PINNED}") == (tmp_path / PINNED, PINNED)


@pytest.mark.parametrize("named", ["owner/net", "owner/net@main"])
def test_a_newer_revision_is_taken_by_its_name_and_recorded(moved_on: ModelCard, tmp_path: Path, named: str) -> None:
    assert resolve_weights(moved_on, named) == (tmp_path / "newest", "newest")


def test_a_damaged_file_of_the_revision_is_refused(moved_on: ModelCard, tmp_path: Path) -> None:
    (tmp_path / PINNED / "net.bin").write_bytes(b"weight")
    for named in (None, f"owner/net@{PINNED}"):
        with pytest.raises(InputError, match=r"has the sha256[\s\S]*delete .*net\.bin") as caught:
            resolve_weights(moved_on, named)
        assert "@COMMIT" not in str(caught.value)


def test_a_revision_that_is_gone_says_how_to_take_another(moved_on: ModelCard) -> None:
    assert moved_on.weights is not None
    gone = replace(moved_on, weights=replace(moved_on.weights, revision="gone"))
    with pytest.raises(MissingFileError, match=r"RevisionNotFoundError[\s\S]*weights='owner/net@main'"):
        resolve_weights(gone, None)


def test_a_checksum_without_revision_says_how_to_take_a_newer_file(moved_on: ModelCard) -> None:
    assert moved_on.weights is not None
    floating = replace(moved_on, weights=replace(moved_on.weights, revision=None))
    with pytest.raises(InputError, match=r"has the sha256[\s\S]*weights='owner/net@COMMIT'"):
        resolve_weights(floating, None)


def test_offline_a_cached_revision_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, Hub(tmp_path, response_error("LocalEntryNotFoundError")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingFileError, match="weights='owner/net@REVISION'"):
        resolve_weights(CARD, None)


def test_the_published_cards_are_of_a_revision_with_checksums() -> None:
    places = [card.weights for card in built_in() if card.runnable and card.weights and card.weights.kind == "hub"]
    assert len(places) > 5
    for place in places:
        assert place.revision is not None
        assert re.fullmatch("[0-9a-f]{40}", place.revision)
        assert all(file.sha256 and re.fullmatch("[0-9a-f]{64}", file.sha256) for file in place.files)


def linked(digest: str | None) -> ModelCard:
    file = WeightFile("net.bin", digest, "http://example.org/net.bin")
    return replace(CARD, weights=Weights(kind="url", place="example.org", files=(file,)))


def test_direct_links_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def retrieve(url: str, *, fname: str, path: Path, **more: Any) -> str:
        asked.append({"url": url, **more})
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(b"weights")
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setenv("STFMKIT_CACHE", str(tmp_path))
    card = linked(sha256(b"weights").hexdigest())
    folder, _ = resolve_weights(card, None)
    assert folder == tmp_path / "models" / "net"
    assert resolve_weights(card, None)[0] == folder
    assert len(asked) == 1
    assert asked[0]["known_hash"].startswith("sha256:")
    with pytest.raises(InputError, match="sha256"):
        resolve_weights(linked("00"), None)


def test_links_that_are_dead_or_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def retrieve(*_: Any, **__: Any) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setenv("STFMKIT_CACHE", str(tmp_path))
    with pytest.raises(MissingFileError, match="no route"):
        resolve_weights(linked(None), None)
    monkeypatch.setenv("STFMKIT_OFFLINE", "1")
    with pytest.raises(MissingFileError, match="asks for no network"):
        resolve_weights(linked(None), None)


def test_a_link_that_leads_to_another_file_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = tmp_path / "served.bin"
    served.write_bytes(b"other weights")

    def retrieve(url: str, *, known_hash: str, **_: Any) -> str:
        pooch.hashes.hash_matches(served, known_hash, strict=True, source=url)  # as pooch does after a download
        return str(served)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setenv("STFMKIT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"does not have the published sha256[\s\S]*weights='FOLDER'"):
        resolve_weights(linked(sha256(b"weights").hexdigest()), None)
    assert resolve_weights(linked(sha256(b"weights").hexdigest()), served)[0] == served


def test_no_published_weights_at_all() -> None:
    with pytest.raises(InputError, match="no published weights"):
        resolve_weights(replace(CARD, weights=None), None)


def test_a_model_that_cannot_be_run_says_why(known: dict[str, ModelCard]) -> None:
    known["net"] = replace(CARD, runnable=False, reason="no licence", target="")
    with pytest.raises(InputError, match="cannot be run: no licence"):
        sk.models.load_model("net")
    assert "no licence" in repr(sk.models.model_card("net"))
    assert sk.models.list_models(runnable=False).set_index("name").loc["net", "reason"] == "no licence"
