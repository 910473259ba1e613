"""Why ranks ended, from what torchrun knows of each of them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ErrorHandler, ProcessFailure

from unlearnable.errors import Stopped, UserError
from unlearnable.jobs.ranks.mailbox import Outcome
from unlearnable.jobs.ranks.torchrun import outcome_of

Failure = Callable[..., ProcessFailure]


@pytest.fixture
def failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Failure:
    """``failure(rank, exitcode, raised)``: what torchrun knows of a rank that ended so and raised that, if anything."""

    def known(rank: int, exitcode: int, raised: Exception | None = None, later: int = 0) -> ProcessFailure:
        path = tmp_path / f"error-{rank}.json"
        if raised is not None:
            monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(path))
            try:
                raise raised
            except Exception as error:
                ErrorHandler().record_exception(error)
        found = ProcessFailure(local_rank=rank, pid=1, exitcode=exitcode, error_file=str(path))
        found.timestamp += later
        return found

    return known


def of(*failures: ProcessFailure) -> Outcome:
    return outcome_of({failure.local_rank: failure for failure in failures}, 3)


def test_the_first_rank_knows_why_all_have_stopped(failure: Failure) -> None:
    others = failure(1, 1, Stopped("the first rank has saved the state"))
    assert of(others, failure(0, 1, Stopped("asked to stop: state saved"))) == Outcome(
        "Stopped", "asked to stop: state saved"
    )


def test_a_refusal_is_the_cause_of_what_happens_to_the_other_ranks(failure: Failure) -> None:
    others = [failure(1, 1, RuntimeError("connection closed")), failure(2, -signal.SIGKILL)]
    assert of(*others, failure(0, 1, UserError("no: such file"))) == Outcome("UserError", "no: such file")


def test_a_killed_rank_is_the_cause_of_what_the_others_raise(failure: Failure) -> None:
    outcome = of(
        failure(0, 1, RuntimeError("connection closed")), failure(1, -signal.SIGKILL), failure(2, 1, OSError())
    )
    assert outcome == Outcome(
        "UserError",
        "rank 1 (of 3, counted from 0) was killed by SIGKILL; the same command continues from the last checkpoint",
    )


def test_the_first_rank_that_failed_is_named_with_its_traceback(failure: Failure) -> None:
    outcome = of(failure(2, 1, ValueError("the cause")), failure(0, 1, RuntimeError("connection closed")))
    assert outcome.kind == "RuntimeError"
    assert outcome.message.startswith("rank 2 (of 3, counted from 0) failed:\nTraceback")
    assert outcome.message.endswith("ValueError: the cause\n")


@pytest.mark.parametrize(("number", "later"), [(signal.SIGKILL, 30), (signal.SIGABRT, 0)])
def test_ranks_that_torchrun_or_nccl_ended_are_not_the_cause(failure: Failure, number: int, later: int) -> None:
    outcome = of(failure(0, -number, later=later), failure(1, 1, ValueError("the cause")))
    assert "ValueError: the cause" in outcome.message


def test_a_rank_that_ends_without_a_word_is_an_error(failure: Failure) -> None:
    assert of(failure(1, 3)) == Outcome("RuntimeError", "a rank ended with status 3 without giving a reason")
