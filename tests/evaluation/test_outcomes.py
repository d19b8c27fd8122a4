from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from people import photos
from people.errors import NotAnImage
from people.evaluation.outcomes import Outcomes, main_face, outcome_of
from people.faces import Box, Chip, Vectors
from tests import fakes

ENGINE = fakes.FakeEngine(threads=1)


def test_the_main_face_is_large_and_central() -> None:
    central, edge, small = Box(40, 40, 20, 20), Box(0, 0, 22, 22), Box(48, 48, 4, 4)
    assert main_face([edge, small, central], 100, 100) == 2


def test_a_photo_whose_boxes_have_no_area_has_a_main_face() -> None:
    assert main_face([Box(0, 0, 0, 0), Box(50, 50, 0, 0)], 100, 100) == 1


def test_a_photo_with_one_clear_face_has_both_templates() -> None:
    outcome = outcome_of(fakes.photo(1), ENGINE)
    assert (outcome.faces, outcome.refused) == (1, False)
    for template in (outcome.reference, outcome.probe):
        assert template.shape == (fakes.DIMENSION,)
        assert np.linalg.norm(template) == pytest.approx(1, abs=1e-6)


def test_the_reference_is_embedded_thoroughly_and_the_probe_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    embed, calls = fakes.FakeEngine.embed, []

    def recording_embed(self: fakes.FakeEngine, chips: list[Chip], *, thoroughly: bool = False) -> Vectors:
        calls.append((len(chips), thoroughly))
        return embed(self, chips, thoroughly=thoroughly) * (1 if thoroughly else -1)

    monkeypatch.setattr(fakes.FakeEngine, "embed", recording_embed)
    outcome = outcome_of(fakes.photo(None, 0, None, 1), ENGINE)
    assert sorted(calls) == [(1, False), (1, True)]
    assert outcome.reference == pytest.approx(-outcome.probe)


def test_the_templates_are_those_of_the_main_face_even_with_bystanders() -> None:
    alone, crowd = outcome_of(fakes.photo(0), ENGINE), outcome_of(fakes.photo(None, 0, None, 1), ENGINE)
    assert crowd.faces == 2
    assert float(alone.reference @ crowd.reference) == pytest.approx(1, abs=1e-6)


def test_a_dark_face_is_refused_but_has_templates() -> None:
    outcome = outcome_of(fakes.photo(0, dark=True), ENGINE)
    assert (outcome.faces, outcome.refused) == (1, True)
    assert len(outcome.reference) == len(outcome.probe) == fakes.DIMENSION


def grid(*rows: list[bytes]) -> bytes:
    """Return a PNG with these photos, which have the same size, in rows."""
    image = np.concatenate([np.concatenate([photos.decode(photo) for photo in row], axis=1) for row in rows])
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("dark", [False, True])
def test_only_the_quality_of_the_main_face_counts(dark: bool) -> None:
    main, bystander = fakes.photo(0, dark=dark), fakes.photo(1, dark=not dark)
    outcome = outcome_of(grid([bystander, main, bystander]), ENGINE)
    assert (outcome.faces, outcome.refused) == (3, dark)
    assert float(outcome.reference @ outcome_of(main, ENGINE).reference) == pytest.approx(1, abs=1e-6)


def test_the_main_face_is_found_among_hundreds() -> None:
    main, bystander = fakes.photo(0), fakes.photo(1)
    rows = [[bystander] * 25 for _ in range(9)]
    rows[4][12] = main
    outcome = outcome_of(grid(*rows), ENGINE)
    assert (outcome.faces, outcome.refused) == (225, False)
    assert float(outcome.reference @ outcome_of(main, ENGINE).reference) == pytest.approx(1, abs=1e-6)


def test_a_photo_without_a_face_is_refused_and_has_no_templates() -> None:
    outcome = outcome_of(fakes.photo(None), ENGINE)
    assert (outcome.faces, outcome.refused) == (0, True)
    assert len(outcome.reference) == len(outcome.probe) == 0


def test_a_file_that_is_not_a_photo_is_rejected() -> None:
    with pytest.raises(NotAnImage):
        outcome_of(b"not a photo", ENGINE)


def test_outcomes_are_stacked_in_order() -> None:
    single, faceless, crowd = (
        outcome_of(photo, ENGINE)
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
