"""Optuna study: trials are kept in a journal, so that an interrupted search continues.

Each trial has its own sampler, seeded by the trial number, so that an interrupted search draws the same trials as an
uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holotype.core.errors import InputError
from holotype.core.seeds import derive_seed
from holotype.tuning.space import Dimension, NumericRange

STARTUP_TRIALS = 6  # random trials before the sampler learns from them
UNPRUNED_TRIALS = 3  # trials before the median is used for pruning
NAME = "tune"


@dataclass(frozen=True)
class TrialRecord:
    """Trial record of a study.

    Args:
        state: `finished`, `pruned`, `failed` or `unfinished`.
        score: The last known score, larger is better; None if there is none yet.
    """

    number: int
    drawn: dict[str, Any]
    state: str
    score: float | None
    epochs: int = 0
    rungs: dict[int, float] = field(default_factory=dict)


def open_study(journal: Path) -> Any:
    """Open the study of a journal file (JSON lines), or create it. Raises InputError if Optuna is not installed."""
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise InputError("a search needs Optuna", remedy="install it with pip install 'holotype[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal.parent.mkdir(parents=True, exist_ok=True)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    return optuna.create_study(
        study_name=NAME, storage=storage, direction="maximize", pruner=pruner, load_if_exists=True
    )


def begin_trial(study: Any, seed: int) -> Any:
    """Continue the interrupted trial, or begin a new one."""
    import optuna

    trials = study.get_trials(deepcopy=False)
    number = len(trials)
    for trial in trials:
        if trial.state == optuna.trial.TrialState.RUNNING:
            number = trial.number
    keyed = derive_seed(seed, "tune", number) % 2**32
    study.sampler = optuna.samplers.TPESampler(seed=keyed, n_startup_trials=STARTUP_TRIALS)
    return study.ask() if number == len(trials) else optuna.trial.Trial(study, trials[number]._trial_id)


def suggest(trial: Any, space: Sequence[Dimension]) -> dict[str, Any]:
    """Suggest the values of a trial; an interrupted trial gets the same values again."""
    drawn: dict[str, Any] = {}
    for dimension in space:
        name = dimension.name
        if not isinstance(dimension, NumericRange):
            drawn[name] = trial.suggest_categorical(name, list(dimension.options))
        elif dimension.is_integer:
            low, high = int(dimension.low), int(dimension.high)
            drawn[name] = trial.suggest_int(name, low, high, log=dimension.log_scale)
        else:
            drawn[name] = trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log_scale)
    return drawn


def report_intermediate(study: Any, trial: Any, rung: int, score: float, epochs: int) -> bool:
    """Report an intermediate score, larger is better, of part `rung` of the training.

    Returns whether to prune the trial: it is below the median of the other trials at the same part.
    """
    if rung not in study.get_trials(deepcopy=False)[trial.number].intermediate_values:
        trial.report(score, rung)
        trial.set_user_attr("epochs", epochs)
    return bool(trial.should_prune())


def end_trial(study: Any, trial: Any, score: float | None, state: str, epochs: int | None = None) -> None:
    """End a trial. `state`: `finished`, `pruned` or `failed`."""
    import optuna

    if epochs is not None:
        trial.set_user_attr("epochs", epochs)
    states = optuna.trial.TrialState
    word = {"finished": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[state]
    study.tell(trial, score if state == "finished" else None, word)


def list_trials(study: Any) -> list[TrialRecord]:
    """List the trials in the order of their numbers."""
    words = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "unfinished"}
    records = []
    for trial in study.get_trials(deepcopy=False):
        rungs = dict(sorted(trial.intermediate_values.items()))
        finished = trial.state.name == "COMPLETE"
        score = trial.value if finished else next(reversed(rungs.values()), None)
        state = words.get(trial.state.name, "unfinished")
        epochs = int(trial.user_attrs.get("epochs", 0))
        records.append(TrialRecord(trial.number, dict(trial.params), state, score, epochs, rungs))
    return records


def importances(study: Any, seed: int) -> dict[str, float]:
    """Hyperparameter importance by functional ANOVA (Hutter et al. 2014), largest first.

    Returns shares of the score variance by dimension, which sum to 1; empty if there are too few finished trials.
    """
    import optuna

    done = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=derive_seed(seed, "importance") % 2**32)
    measure: Callable[..., dict[str, float]] = optuna.importance.get_param_importances
    return {name: float(share) for name, share in measure(study, evaluator=evaluator).items()}
