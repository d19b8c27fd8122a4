from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from people import evaluation
from people.decision import mean_template, unit
from people.evaluation import PairScores, Sample, Searches
from people.faces import Box


def pairs_of(genuine: list[float], impostor: list[float]) -> PairScores:
    bins = np.zeros(200_000, dtype=np.int64)
    for score in impostor:
        bins[int((score + 1) * 100_000)] += 1
    return PairScores(np.array(genuine), np.zeros(len(genuine), dtype=np.int64), bins)


def random_sample(persons: list[int], dimension: int = 16) -> Sample:
    """Return a sample whose people are told apart most of the time, but not always."""
    random = np.random.default_rng(1)
    centres = random.standard_normal((max(persons) + 1, dimension))
    vectors = centres[persons] + 0.9 * random.standard_normal((len(persons), dimension))
    probes = vectors + 0.1 * random.standard_normal(vectors.shape)
    return Sample(
        unit(vectors.astype(np.float32)),
        unit(probes.astype(np.float32)),
        np.ones(len(persons), dtype=bool),
        np.zeros(len(persons), dtype=bool),
        np.zeros(len(persons), dtype=bool),
        np.array(persons, dtype=np.int64),
    )


MANY = [person for person in range(60) for _ in range(1 if person % 2 else 2 + person % 7)]


def test_the_subject_is_large_and_central() -> None:
    central, edge, small = Box(40, 40, 20, 20), Box(0, 0, 22, 22), Box(48, 48, 4, 4)
    assert evaluation.subject([edge, small, central], 100, 100) == 2


def test_a_photo_of_boxes_without_area_still_has_a_subject() -> None:
    assert evaluation.subject([Box(0, 0, 0, 0), Box(50, 50, 0, 0)], 100, 100) == 1


def test_at_most_the_stated_share_of_impostors_reaches_a_threshold() -> None:
    # 100 impostors, 0.001 to 0.100: at FMR 0.2 twenty may pass, the lowest of them 0.081
    scores = pairs_of([0.05, 0.0805, 0.09, 0.5], [n / 1000 + 5e-6 for n in range(1, 101)])
    threshold = scores.threshold(0.2)
    assert threshold is not None
    assert 0.080 < threshold <= 0.08101
    assert scores.tar(threshold) == 0.75 if threshold <= 0.0805 else 0.5


def test_a_rate_that_fewer_than_ten_impostors_support_is_not_stated() -> None:
    scores = pairs_of([0.5], [n / 1000 for n in range(1, 101)])
    assert scores.threshold(0.1) is not None
    assert scores.threshold(0.09) is None


def test_pairs_are_those_of_brute_force_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "_BLOCK", 7)
    sample = random_sample(MANY)
    found = evaluation.pair_scores(sample.references, sample.probes, sample.persons)
    genuine, impostor = [], []
    for one in range(len(MANY)):
        for other in range(one + 1, len(MANY)):
            cosine = float(sample.references[one] @ sample.probes[other])
            (genuine if MANY[one] == MANY[other] else impostor).append(cosine)
    assert np.sort(found.genuine) == pytest.approx(np.sort(genuine), abs=1e-6)
    assert found.impostor_pairs == len(impostor)
    for fmr in (0.1, 0.01):
        threshold = found.threshold(fmr)
        assert threshold is not None
        exact = np.sort(impostor)[::-1][int(fmr * len(impostor))]
        assert threshold == pytest.approx(exact, abs=0.003)
        assert (np.array(impostor) >= threshold + 2e-6).mean() <= fmr
        assert found.tar(threshold) == pytest.approx(np.mean(np.array(genuine) >= threshold))


def test_calibration_points_rise_and_end_where_support_ends() -> None:
    scores = pairs_of([], [n / 10_001 for n in range(10_000)])
    points = evaluation.calibration_points(scores)
    assert [fmr for fmr, _ in points] == [0.1, 0.01, 0.001]
    assert [round(cosine, 2) for _, cosine in points] == [0.9, 0.99, 1.0]
    assert points == sorted(points, key=lambda point: point[1])


def test_equal_scores_give_no_calibration_point_twice() -> None:
    points = evaluation.calibration_points(pairs_of([], [0.3] * 1000 + [0.1] * 1000))
    assert len({cosine for _, cosine in points}) == len(points)


def test_the_first_photos_are_enrolled_and_single_photos_are_strangers() -> None:
    chosen = evaluation.split({0: [0, 1, 2], 1: [3], 2: [4, 5]}, enrol=2)
    assert chosen == evaluation.Split({0: [0, 1]}, [2], [3])


def test_a_search_compares_with_the_mean_of_the_enrolled_photos() -> None:
    sample = random_sample(MANY)
    photos: dict[int, list[int]] = {}
    for index, person in enumerate(MANY):
        photos.setdefault(person, []).append(index)
    chosen = evaluation.split(photos, enrol=2)
    found = evaluation.search(sample, chosen)
    for probe, right, best in zip(chosen.probes, found.right, found.best, strict=True):
        scores = {
            person: float(sample.probes[probe] @ mean_template(sample.references[own]))
            for person, own in chosen.enrolled.items()
        }
        assert right == (max(scores, key=lambda person: scores[person]) == MANY[probe])
        assert best == pytest.approx(max(scores.values()), abs=1e-6)


def test_a_probe_counts_only_when_right_and_above_the_strangers() -> None:
    searches = Searches(
        np.array([True, True, False, True]),
        np.array([0.9, 0.5, 0.95, 0.3]),
        np.array([0, 0, 1, 1]),
        np.arange(100) / 100 * 0.5,  # strangers reach 0 to 0.495
    )
    assert searches.rank1 == 0.75
    assert searches.threshold(0.01) == pytest.approx(0.49)
    assert (searches.strangers > searches.threshold(0.1)).mean() == pytest.approx(0.1)
    assert searches.tpir(searches.threshold(0.01)) == 0.5
    assert searches.tpir(0.2) == 0.75


def test_a_photo_without_a_face_is_a_miss_and_never_enrolled() -> None:
    sample = random_sample([0, 0, 0, 1, 1, 2])
    sample.faces[[0, 4]] = False
    found = evaluation.evaluate(sample, 1)
    assert found.searches is not None
    assert found.figures["detection_rate"] == pytest.approx(4 / 6)
    assert found.figures["identification"]["enrolled"] == 2
    missed = found.searches.best == -np.inf
    assert missed.sum() == 2  # person 0's first photo, of which the second was enrolled, and person 1's
    assert not found.searches.right[missed].any()
    assert found.pairs.impostor_pairs + len(found.pairs.genuine) == 6


def test_more_enrolled_photos_are_compared_with_one_of_the_same_people() -> None:
    figures = evaluation.evaluate(random_sample(MANY), 3).figures
    three, one = figures["identification"], figures["comparison"]
    assert (one["enrol"], three["enrol"]) == (1, 3)
    assert [one[key] for key in ("enrolled", "probes", "strangers")] == [
        three[key] for key in ("enrolled", "probes", "strangers")
    ]
    assert three["rank1"] > one["rank1"]


def test_an_interval_holds_its_rate_and_is_the_same_each_time() -> None:
    hits = np.random.default_rng(0).random(400) < 0.9
    persons = np.arange(400) // 4
    low, high = evaluation.share_interval(hits, persons) or (1.0, 0.0)
    assert low < hits.mean() < high
    assert (low, high) == evaluation.share_interval(hits, persons)


def test_an_interval_by_person_is_wider_when_a_person_fails_as_a_whole() -> None:
    persons = np.arange(400) // 4
    alone = np.arange(400) % 10 > 0
    together = persons % 10 > 0

    def width(hits: NDArray[np.bool_]) -> float:
        low, high = evaluation.share_interval(hits, persons) or (0.0, 0.0)
        return high - low

    assert width(together) > 1.5 * width(alone)


def test_the_tpir_interval_draws_strangers_too() -> None:
    random = np.random.default_rng(0)
    searches = Searches(
        np.ones(300, dtype=bool), random.random(300), np.arange(300) // 3, random.random(300) * 0.5
    )
    low, high = evaluation.tpir_interval(searches, 0.1, draws=250)
    assert low < searches.tpir(searches.threshold(0.1)) < high


@pytest.mark.parametrize(
    ("strangers", "stated"), [(99, (False, False)), (100, (True, False)), (1000, (True, True))]
)
def test_a_rate_of_searches_that_fewer_than_ten_strangers_support_is_not_stated(
    strangers: int, stated: tuple[bool, bool]
) -> None:
    figures = evaluation.evaluate(random_sample([0, 0, *range(1, strangers + 1)]), 1).figures
    tpir = figures["identification"]["tpir_at_fpir"]
    assert (tpir["0.1"] is not None, tpir["0.01"] is not None) == stated
    assert any("TPIR" in note for note in figures["notes"]) == (not all(stated))


def test_the_error_curves_fall() -> None:
    found = evaluation.evaluate(random_sample(MANY), 1)
    assert found.searches is not None
    for alarms, misses in (found.pairs.det(), found.searches.det()):
        assert len(alarms) > 20
        assert (np.diff(alarms) <= 0).all()
        assert (np.diff(misses) >= 0).all()


def test_too_few_people_leave_nothing_but_notes() -> None:
    figures = evaluation.evaluate(random_sample([0]), 1).figures
    assert figures["identification"] is None
    assert set(figures["verification"]["tar_at_fmr"].values()) == {None}
    assert len(figures["notes"]) == 2


def test_rates_are_keyed_without_an_exponent() -> None:
    assert [evaluation.rate_key(rate) for rate in (0.1, 1e-2, 1e-5)] == ["0.1", "0.01", "0.00001"]
