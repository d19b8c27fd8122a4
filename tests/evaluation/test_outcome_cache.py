from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from people.evaluation.outcome_cache import OutcomeCache
from people.evaluation.outcomes import Outcome

REFERENCE, PROBE = np.array([[0.6, 0.8], [0.8, 0.6]], dtype=np.float32)
NO_TEMPLATE = np.empty(0, dtype=np.float32)
OUTCOME = Outcome(2, False, REFERENCE, PROBE)
FACELESS = Outcome(0, True, NO_TEMPLATE, NO_TEMPLATE)


def same(cached: Outcome | None, expected: Outcome) -> bool:
    return (
        cached is not None
        and (cached.faces, cached.refused) == (expected.faces, expected.refused)
        and np.array_equal(cached.reference, expected.reference)
        and np.array_equal(cached.probe, expected.probe)
    )


def test_a_later_run_gets_the_outcome_of_a_photo_from_the_cache(tmp_path: Path) -> None:
    with OutcomeCache.opened(tmp_path, "fake/1") as cache:
        cache.put(b"one", OUTCOME)
        cache.put(b"two", FACELESS)
    with OutcomeCache.opened(tmp_path, "fake/1") as cache:
        assert same(cache.get(b"one"), OUTCOME)
        assert same(cache.get(b"two"), FACELESS)
        assert cache.get(b"three") is None


def test_a_later_outcome_of_a_photo_replaces_the_earlier_one(tmp_path: Path) -> None:
    with OutcomeCache.opened(tmp_path, "fake/1") as cache:
        cache.put(b"one", FACELESS)
        cache.put(b"one", OUTCOME)
        assert same(cache.get(b"one"), OUTCOME)


def test_engines_do_not_share_outcomes(tmp_path: Path) -> None:
    with OutcomeCache.opened(tmp_path, "fake/1") as cache:
        cache.put(b"one", OUTCOME)
    with OutcomeCache.opened(tmp_path, "fake/2") as cache:
        assert cache.get(b"one") is None


def test_outcomes_are_saved_if_the_run_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with OutcomeCache.opened(tmp_path, "fake/1") as cache:
            cache.put(b"one", OUTCOME)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with OutcomeCache.opened(tmp_path, "fake/1") as cache:
        assert same(cache.get(b"one"), OUTCOME)


def test_other_users_cannot_read_the_cached_templates(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "evaluation"
    with OutcomeCache.opened(folder, "fake/1") as cache:
        cache.put(b"one", OUTCOME)
        cache.save()
        assert folder.stat().st_mode & 0o077 == 0
        assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
