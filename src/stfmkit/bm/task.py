"""The contract of a task: what is asked of contenders, and how the answers are scored.

A task is one object in one file. For every fold the run asks it for the genes that contenders must not see (`hidden`)
and for the `truth`; turns the output of every contender into a prediction (`predict`); and scores the prediction
(`score`). Controls are predictions that a sound metric puts first and last; a ceiling is what the noise of the data
allows; what only all folds together can say is scored by `pooled`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from stfmkit.bm.contenders import Kind, Output
from stfmkit.bm.finding import Finding
from stfmkit.bm.study import Study
from stfmkit.evaluation.contender_labels import CONTROL
from stfmkit.evaluation.metric_keys import MetricKey
from stfmkit.evaluation.scores import to_table
from stfmkit.splits.folds import Fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

NO_GENES = np.empty(0, dtype=np.int64)
OBSERVED = {"row": "int64", "truth": "str", "predicted": "str", "score": "float64"}
"""Columns of `Scores.observations`: row of the study, and what a map shows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What one fold asks; a task adds fields with what it needs to predict and to score.

    Attributes
    ----------
    study
        The study without its table and counts, which are not sent to other processes.
    fold
        Training and test rows.
    """

    study: Study
    fold: Fold


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """What the scores of one prediction in one fold are, and what is kept of it.

    Attributes
    ----------
    table
        A table of `stfmkit.evaluation.scores`; the run fills in task and contender.
    kept
        A table from which `Task.pooled` scores all folds together; None where nothing is pooled.
    observations
        A table of the columns `OBSERVED`, one row for every observation tested, for maps; None for no maps.
    """

    table: pd.DataFrame
    kept: pd.DataFrame | None = None
    observations: pd.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """What a task adds to its part of the report; all text is escaped there.

    Attributes
    ----------
    text
        Paragraphs.
    tables
        Tables by caption.
    figures
        Functions that draw into a matplotlib Figure, by a sentence that says what is shown.
    """

    text: Sequence[str] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, "Callable[[Figure], None]"] = field(default_factory=dict)


class Task(ABC):
    """A question to contenders, with its truth, its scores and its controls.

    A subclass states the facts below as class attributes and implements `truth`, `predict`, `score`, `controls` and
    `perfect`; everything else has a default. `sk.testing.check_task` checks a task, on data of yours if you pass them.
    Nothing may be changed on the object while it works: one object serves all folds and processes.

    Attributes
    ----------
    name
        Name in tables, and of the task in `sk.bm.run`.
    title
        Heading in the report.
    question
        What is asked, in plain words.
    primary
        The metric that ranks contenders, with its setting and scope.
    accepts
        Kinds of output that `predict` takes.
    needs
        Fields of the protocol that must not be None, such as "label_key".
    positive, negatives
        Names of the controls that a sound metric puts first and last.
    beside
        Names of further controls, which are shown and judge no metric.
    control_models
        Registered models among the negatives: they run as contenders do, and `controls` does not return them.
    own_baselines
        Names of what `baselines` returns, each with a sentence that says what it is and what it has seen.
    degraded_model
        Registered model that runs as a control, and whose predictions are made worse by `degrade`, so that every
        metric is checked on the data at hand; empty for no check.
    degradations
        What is done to these predictions and how much of it, such as "noise=0.5". "noise" and "genes" must lower a
        sound metric at every step; of "smoothing" is only said what it does.
    shares
        Tasks with the same text here have the same `hidden`, `truth` and `predict`, which are then computed once for
        all of them; empty for a task on its own.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    primary: ClassVar[MetricKey]
    accepts: ClassVar[tuple[Kind, ...]] = ("embedding",)
    needs: ClassVar[tuple[str, ...]] = ()
    positive: ClassVar[str]
    negatives: ClassVar[tuple[str, ...]]
    beside: ClassVar[tuple[str, ...]] = ()
    control_models: ClassVar[tuple[str, ...]] = ()
    own_baselines: ClassVar[Mapping[str, str]] = {}
    degraded_model: ClassVar[str] = ""
    degradations: ClassVar[tuple[str, ...]] = ()
    shares: ClassVar[str] = ""
    trained: ClassVar[bool] = True
    """Whether something is trained on other patients, so that a good score of position alone shows a leak."""
    positive_note: ClassVar[str] = ""
    """What a reader of the positive control must know."""
    ceiling_note: ClassVar[str] = "upper bound for the noise of counting"
    """What the report calls the mean ceiling of the primary metric."""
    ceiling_remark: ClassVar[str] = ""
    """What a reader of scores as shares of ceilings must know."""

    # one fold

    def hidden(self, study: Study, fold: Fold) -> np.ndarray:
        """Return the positions of the genes that contenders must not see in this fold; none by default."""
        del study, fold
        return NO_GENES

    @abstractmethod
    def truth(self, study: Study, fold: Fold, hidden: np.ndarray) -> Any:
        """Return a `Truth` of this fold, with everything that predicting and scoring need."""

    @abstractmethod
    def predict(self, output: Output, truth: Any) -> Any:
        """Return the prediction for test observations: by a probe from an embedding; other kinds as they are."""

    @abstractmethod
    def score(self, truth: Any, prediction: Any) -> Scores:
        """Return the scores of a prediction; the order of the test rows must not matter."""

    @abstractmethod
    def controls(self, truth: Any) -> Mapping[str, Any]:
        """Return predictions by name: what a sound metric puts first, and what it puts last."""

    def baselines(self, truth: Any) -> Mapping[str, Any]:
        """Return predictions that need no contender, by the names of `own_baselines`; none by default.

        They know training observations alone, are ranked beside the contenders under "baseline:" and their name, and
        are what a contender has to beat.
        """
        del truth
        return {}

    @abstractmethod
    def perfect(self, truth: Any) -> Any:
        """Return the prediction of someone who knows the truth; `sk.testing.check_task` holds that it scores best."""

    def degrade(self, prediction: Any, truth: Any, how: str) -> Any:
        """Return a prediction made worse in one of the ways of `degradations`."""
        del prediction, truth
        msg = f"{type(self).__name__} names {how!r} among its degradations and does not say how"
        raise TypeError(msg)

    def ceiling(self, truth: Any) -> pd.DataFrame:
        """Return what the noise of the data allows, as scores of status "ceiling", and descriptions of the truth."""
        del truth
        return to_table(())

    def facts(self, truth: Any) -> dict[str, Any]:
        """Return what a reader must know of the truth of a fold, ready for JSON."""
        del truth
        return {}

    # all folds together

    def pooled_truth(self, study: Study, hidden: Mapping[int, np.ndarray]) -> Any:
        """Return the truth of all folds together; None where nothing is pooled. `hidden` is by fold."""
        del study, hidden
        return None

    def pooled(self, truth: Any, kept: pd.DataFrame) -> pd.DataFrame:
        """Return scores of all folds together; `kept` joins what `score` kept in every fold."""
        del truth, kept
        return to_table(())

    def pooled_ceiling(self, truth: Any) -> pd.DataFrame:
        """Return what the noise of the data allows in `pooled`."""
        del truth
        return to_table(())

    def pooled_facts(self, truth: Any) -> dict[str, Any]:
        """Return what a reader must know of the truth of all folds together, ready for JSON."""
        del truth
        return {}

    def findings(self, study: Study, hidden: Mapping[int, np.ndarray], pooled_truth: Any) -> Iterable[Finding]:
        """Yield what a careful reader must know of this task on these data."""
        del study, hidden, pooled_truth
        return ()

    # reading the results

    def ceiling_words(self, study: Study) -> dict[str, str]:
        """Return `ceiling_note` and `ceiling_remark`, as they are for a study."""
        del study
        return {"ceiling_note": self.ceiling_note, "ceiling_remark": self.ceiling_remark}

    def describe_metric(self, key: MetricKey) -> dict[str, Any] | None:
        """Return title, higher_is_better, bounds, chance, source, summary of a metric that is not in `sk.metrics`."""
        del key
        return None

    def no_direction(self, key: MetricKey) -> str:
        """Return why a metric only describes in this task, and ranks nothing; empty where it has its direction."""
        del key
        return ""

    def section(self, results: Any) -> Section:
        """Return what this task adds to its part of the report on `results`."""
        del results
        return Section()

    # derived

    @property
    def control_labels(self) -> tuple[str, ...]:
        """Labels of the registered models that run as controls of this task."""
        names = (*self.control_models, self.degraded_model)
        return tuple(dict.fromkeys(CONTROL + name for name in names if name))

    def predicted_controls(self) -> list[str]:
        """Return the names of the controls that `controls` returns: all but registered models."""
        named = (self.positive, *self.negatives, *self.beside)
        return [name for name in named if name not in self.control_models]

    def describe(self) -> dict[str, Any]:
        """Return the facts of the task, ready for JSON."""
        return {
            "title": self.title,
            "question": self.question,
            "primary": self.primary._asdict(),
            "accepts": list(self.accepts),
            "needs": list(self.needs),
            "positive": f"control:{self.positive}",
            "negatives": [f"control:{name}" for name in self.negatives],
            "baselines": [f"baseline:{name}" for name in self.own_baselines],
            "trained": self.trained,
            "positive_note": self.positive_note,
            "degraded": f"control:{self.degraded_model}" if self.degraded_model else "",
            "ceiling_note": self.ceiling_note,
            "ceiling_remark": self.ceiling_remark,
        }
