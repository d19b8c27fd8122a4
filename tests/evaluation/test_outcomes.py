from __future__ import annotations

import numpy as np
import pytest

from people.errors import NotAnImage
from people.evaluation.outcomes import Outcomes, from_photo, main_face
from people.faces import Box, Chip, Vectors
from tests import fakes

ENGINE = fakes.FakeEngine(threads=1)


def test_the_main_face_is_large_and_central() -> None:
    central, edge, small = Box(40, 40, 20, 20), Box(0, 0, 22, 22), Box(48, 48, 4, 4)
    assert main_face([edge, small, central], 100, 100) == 2


def test_a_photo_of_boxes_without_area_still_has_a_main_face() -> None:
    assert main_face([Box(0, 0, 0, 0), Box(50, 50, 0, 0)], 100, 100) == 1


def test_a_photo_of_one_clear_face_has_both_templates() -> None:
    outcome = from_photo(fakes.photo(1), ENGINE)
    assert (outcome.faces, outcome.refused) == (1, False)
    for template in (outcome.reference, outcome.probe):
        assert template.shape == (fakes.DIMENSION,)
        assert np.linalg.norm(template) == pytest.approx(1, abs=1e-6)


def test_the_reference_is_embedded_thoroughly_and_the_probe_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    embed, asked = fakes.FakeEngine.embed, []

    def recorded(self: fakes.FakeEngine, chips: list[Chip], *, thoroughly: bool = False) -> Vectors:
        asked.append((len(chips), thoroughly))
        return embed(self, chips, thoroughly=thoroughly) * (1 if thoroughly else -1)

    monkeypatch.setattr(fakes.FakeEngine, "embed", recorded)
    outcome = from_photo(fakes.photo(None, 0, None, 1), ENGINE)
    assert sorted(asked) == [(1, False), (1, True)]
    assert outcome.reference == pytest.approx(-outcome.probe)


def test_the_templates_are_of_the_main_face_whatever_bystanders_there_are() -> None:
    alone, crowd = from_photo(fakes.photo(0), ENGINE), from_photo(fakes.photo(None, 0, None, 1), ENGINE)
    assert crowd.faces == 2
    assert float(alone.reference @ crowd.reference) == pytest.approx(1, abs=1e-6)


def test_a_dark_face_is_refused_and_still_has_templates() -> None:
    outcome = from_photo(fakes.photo(0, dark=True), ENGINE)
    assert (outcome.faces, outcome.refused) == (1, True)
    assert len(outcome.reference) == len(outcome.probe) == fakes.DIMENSION


def test_a_photo_without_a_face_is_refused_and_has_no_templates() -> None:
    outcome = from_photo(fakes.photo(None), ENGINE)
    assert (outcome.faces, outcome.refused) == (0, True)
    assert len(outcome.reference) == len(outcome.probe) == 0


def test_a_file_that_is_not_a_photo_is_rejected() -> None:
    with pytest.raises(NotAnImage):
        from_photo(b"not a photo", ENGINE)


def test_outcomes_are_stacked_in_order() -> None:
    single, faceless, crowd = (
        from_photo(photo, ENGINE)
        for photo in (fakes.photo(0), fakes.photo(None), fakes.photo(1, 2, dark=True))
    )
    stacked = Outcomes.of([single, faceless, crowd], [4, 4, 7], fakes.DIMENSION)
    assert stacked.references == pytest.approx(
        np.stack([single.reference, np.zeros(fakes.DIMENSION), crowd.reference])
    )
    assert stacked.probes == pytest.approx(np.stack([single.probe, np.zeros(fakes.DIMENSION), crowd.probe]))
    assert stacked.face_found.tolist() == [True, False, True]
    assert stacked.refused.tolist() == [False, True, True]
    assert stacked.several_faces.tolist() == [False, False, True]
    assert stacked.persons.tolist() == [4, 4, 7]
