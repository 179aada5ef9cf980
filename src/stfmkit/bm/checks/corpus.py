"""Whether models have been trained on the data that they are judged on."""

import re
from collections.abc import Iterator, Sequence

from stfmkit._core.arguments import listed
from stfmkit.bm.contenders import Contender
from stfmkit.bm.finding import Finding
from stfmkit.bm.model_contenders import trained_card
from stfmkit.bm.study import Study

_LEAST = 5
"""Letters of a name that must agree, where one name holds the other."""


def overlap(study: Study, contenders: Sequence[Contender]) -> Iterator[Finding]:
    """Compare the accessions of the data with what is known of the corpora of trained models."""
    trained = [(contender.label, card) for contender in contenders if (card := trained_card(contender))]
    if not trained:
        return
    stated = study.protocol.accessions
    shared = {label: shared_names(stated or (), card.corpus_names or ()) for label, card in trained}
    rows = tuple(
        (
            label,
            card.corpus or "not known",
            "not known" if card.corpus_names is None else ", ".join(card.corpus_names),
            ", ".join(shared[label]) or ("none known" if stated and card.corpus_names else "not known"),
        )
        for label, card in trained
    )
    columns = ("contender", "trained on", "named data", "overlap")
    hit = [label for label in shared if shared[label]]
    if hit:
        names = sorted({name for label in hit for name in shared[label]})
        yield Finding(
            severity="warning",
            check="data in the pretraining corpus",
            evidence=f"{listed(hit)} was trained on {listed(names)}, which Protocol(accessions=...) names as the "
            "source of these data.",
            remedy="judge it on data that were published later or kept apart, or read its scores as those of data "
            "that it has seen.",
            columns=columns,
            rows=rows,
        )
    unknown = [label for label, card in trained if label not in hit and (stated is None or card.corpus_names is None)]
    if unknown:
        yield Finding(
            severity="info",
            check="overlap with pretraining not known",
            evidence=f"{listed(unknown, most=6)}: "
            + (
                "the protocol does not name the accessions of the data."
                if stated is None
                else "its card names no data sets of its corpus."
            ),
            remedy="pass Protocol(accessions=[...]) and look the data up in the paper of the model.",
            columns=columns,
            rows=rows,
        )


def shared_names(stated: Sequence[str], corpus: Sequence[str]) -> list[str]:
    """Return the stated names that are in a corpus: equal but for case and signs, or a long name inside another.

    Examples
    --------
    >>> shared_names(["gse 176078", "CELLxGENE"], ["CELLxGENE Census", "GSE17607"])
    ['CELLxGENE']
    """
    known = [_letters(name) for name in corpus]
    return [name for name in stated if any(_same(_letters(name), other) for other in known)]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _same(first: str, second: str) -> bool:
    short, long = sorted((first, second), key=len)
    words = not any(letter.isdigit() for letter in short)  # accessions must agree in all digits
    return first == second or (words and len(short) >= _LEAST and short in long)
