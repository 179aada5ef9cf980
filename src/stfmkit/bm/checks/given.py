"""What was computed elsewhere, of which nobody knows what it has seen."""

from collections.abc import Iterator

from stfmkit.bm.contenders import Contender, GivenContender
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study


def computed_elsewhere(study: Study, contender: Contender) -> Iterator[Finding]:
    """Say which contenders the benchmark has not made itself, and what is recorded of them."""
    del study
    if contender.role != "given":
        return
    if isinstance(contender, GivenContender) and contender.n_obs_fitted:
        yield Finding(
            severity="warning",
            check="fitted on test observations",
            evidence=f"{contender.origin}: {contender.exposure}, before the split was known.",
            remedy="pass the registry name: the model is then fitted on training observations only.",
        )
    yield Finding(
        severity="info",
        check=f"{contender.kind} computed elsewhere",
        evidence=f"{contender.label!r} may have read target genes or test observations; values tell "
        "only where they stand there in full.",
        remedy="pass the model itself, or leave its expression scores out.",
    )
