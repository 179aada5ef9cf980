"""Whether two embeddings are of one space, from their records."""

import pytest

from stfmkit._data.embedding_space import other_space


def record(*, model="net", fitted=0, sha=None, rng=0, seconds=1.0, **options):
    loaded = {} if sha is None else {"provenance": {"sha256": {"model.bin": sha}}}
    return {"model": model, "n_obs_fitted": fitted, "rng": rng, "seconds": seconds, "options": options} | loaded


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (record(sha="a"), record(sha="a", seconds=2.0, rng=3), ""),
        (record(sha="a"), record(sha="b"), "different weights"),
        (record(sha="a"), record(), "different weights"),
        (record(rng=0), record(rng=1), "different weights"),
        (record(model="a"), record(model="b"), "of the model 'a', the other of 'b'"),
        (record(fitted=9), record(fitted=9), ""),
        (record(fitted=9), record(fitted=9, seconds=2.0), "fitted twice"),
        (record(fitted=9), record(), "fitted twice"),
        (record(sha="a", layer=1), record(sha="a", layer=2), "layer=1 and 2"),
        (record(sha="a", layer=1), record(sha="a"), "layer=1 and None"),
        (record(sha="a", device="cpu", weights="x"), record(sha="a", device="cuda", weights="y"), ""),
    ],
)
def test_records(first, second, why):
    for one, other in ((first, second), (second, first)):
        found = other_space(one, other)
        assert bool(found) == bool(why)
    assert why in other_space(first, second)
