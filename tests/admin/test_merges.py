"""Staff make two records of one human one, and two again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from people import erasure, merging
from people.models import Collection, Merge, Person
from tests.actors import STAFF

Enrol = Callable[..., Person]
PEOPLE = "/admin/people/person/"
MERGES = "/admin/people/merge/"


def confirm(first: Person, second: Person) -> str:
    return reverse("admin:person_merge", args=[first.pk, second.pk])


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_a_warning_of_a_duplicate_leads_to_the_page_that_merges(page: Client, enrolled: Enrol) -> None:
    first, second = enrolled(1, 1, name="Ada"), enrolled(1, 2, name="Ada L.")
    url = reverse("admin:people_person_change", args=[second.pk])
    assert confirm(second, first) in page.get(url).content.decode()
    answer = page.get(confirm(second, first))
    assert answer.status_code == 200
    assert answer.content.count(b'class="face large"') == 2
    answer = page.post(confirm(second, first), {"kept": str(first.pk)}, follow=True)
    assert answer.redirect_chain[-1][0] == reverse("admin:people_person_change", args=[first.pk])
    assert any("1 photo came over" in line for line in said(answer))
    assert Person.objects.get(pk=second.pk).kept() == first
    assert "Possible duplicate" not in answer.content.decode()


@pytest.mark.parametrize("kept", [0, 1])
def test_staff_choose_which_of_the_two_is_kept(page: Client, enrolled: Enrol, kept: int) -> None:
    two = enrolled(1), enrolled(2)
    page.post(confirm(*two), {"kept": str(two[kept].pk)})
    assert (Merge.objects.get().kept_id, Merge.objects.get().merged_id) == (two[kept].pk, two[1 - kept].pk)


@pytest.mark.parametrize("form", [{}, {"kept": "x"}, {"kept": "00000000-0000-0000-0000-000000000000"}])
def test_nothing_is_merged_until_one_of_the_two_is_chosen(
    page: Client, enrolled: Enrol, form: dict[str, str]
) -> None:
    answer = page.post(confirm(enrolled(1), enrolled(2)), form)
    assert said(answer) == ["Choose which person to keep."]
    assert not Merge.objects.exists()


def test_two_people_of_the_list_are_merged_and_not_one_or_three(page: Client, enrolled: Enrol) -> None:
    people = [enrolled(seed) for seed in range(3)]

    def select(*chosen: Person) -> Any:
        return page.post(
            PEOPLE, {"action": "merge", "_selected_action": [one.pk for one in chosen]}, follow=True
        )

    for chosen in (people[:1], people):
        assert said(select(*chosen)) == ["Select exactly two people to merge."]
    answer = select(*people[:2])
    assert {card["person"] for card in answer.context["cards"]} == set(people[:2])


def test_people_who_can_not_be_merged_are_told_why(page: Client, enrolled: Enrol) -> None:
    here, other, third = enrolled(1), enrolled(2), enrolled(3)
    there = enrolled(1, into=Collection.objects.create(name="elsewhere"))
    for two in ((here, there), (here, here)):
        answer = page.get(confirm(*two))
        assert "Only two different people of the same collection" in answer.content.decode()
        answer = page.post(confirm(*two), {"kept": str(here.pk)}, follow=True)
        assert said(answer) == ["Only two different people of the same collection can be merged."]
    merging.merge(here, other, actor=STAFF)
    answer = page.post(confirm(other, third), {"kept": str(third.pk)}, follow=True)
    assert said(answer) == ["One of these people has already been merged into another person."]
    erasure.erase(third, actor=STAFF)
    assert page.get(confirm(here, third)).status_code == 404
    assert Merge.objects.count() == 1


def test_a_merge_is_undone_from_the_list(page: Client, enrolled: Enrol) -> None:
    kept, other = enrolled(1, name="Ada"), enrolled(2, name="Ada L.")
    done = merging.merge(kept, other, actor=STAFF)
    answer = page.get(MERGES)
    undo = reverse("admin:merge_undo", args=[done.pk])
    assert undo in answer.content.decode()
    assert page.get(undo).status_code == 405
    answer = page.post(undo, follow=True)
    assert said(answer) == ["The merge was undone. These are two separate people again."]
    assert undo not in answer.content.decode()
    assert Person.objects.get(pk=other.pk).status == "active"
    (refusal,) = said(page.post(undo, follow=True))
    assert "already been undone" in refusal


def test_merges_are_undone_in_reverse_and_those_of_the_erased_not_at_all(
    page: Client, enrolled: Enrol
) -> None:
    first, second, third = enrolled(1), enrolled(2), enrolled(3)
    inner = merging.merge(second, third, actor=STAFF)
    outer = merging.merge(first, second, actor=STAFF)
    answer = page.post(reverse("admin:merge_undo", args=[inner.pk]), follow=True)
    assert said(answer) == ["This person was merged again later. Undo the later merge first."]
    erasure.erase(first, actor=STAFF)
    answer = page.post(reverse("admin:merge_undo", args=[outer.pk]), follow=True)
    (refusal,) = said(answer)
    assert "erased" in refusal
    assert answer.content.decode().count("(erased)") == 4


def test_merges_are_found_by_the_persons_id_and_changed_by_nobody(page: Client, enrolled: Enrol) -> None:
    kept, other = enrolled(1), enrolled(2)
    done = merging.merge(kept, other, actor=STAFF)
    merging.merge(enrolled(3), enrolled(4), actor=STAFF)
    for one in (kept, other):
        assert list(page.get(MERGES, {"q": str(one.pk)}).context["cl"].queryset) == [done]
    assert page.get(f"{MERGES}add/").status_code == 403
    assert page.post(f"{MERGES}{done.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_list_of_merges_takes_as_many_queries_for_ten_as_for_one(
    page: Client, enrolled: Enrol, django_assert_max_num_queries: Any
) -> None:
    kept = enrolled(0)
    for seed in range(1, 11):
        merging.merge(kept, enrolled(seed), actor=STAFF)
    with django_assert_max_num_queries(8):
        answer = page.get(MERGES)
    assert answer.content.count(b"formaction") == 10


def test_a_merged_person_is_out_of_the_list_and_can_only_be_looked_at(page: Client, enrolled: Enrol) -> None:
    kept, other = enrolled(1, name="Ada"), enrolled(2, name="Ada L.")
    merging.merge(kept, other, actor=STAFF)
    assert list(page.get(PEOPLE).context["cl"].queryset) == [kept]
    assert list(page.get(PEOPLE, {"status": "merged"}).context["cl"].queryset) == [other]
    url = reverse("admin:people_person_change", args=[other.pk])
    shown = page.get(url)
    assert "This record was merged into" in shown.content.decode()
    assert reverse("admin:people_person_change", args=[kept.pk]) in shown.content.decode()
    assert 'name="_save"' not in shown.content.decode()
    form = {"name": "Eve", "status": "active", "metadata": "{}"}
    assert page.post(url, form).status_code == 403
    other.refresh_from_db()
    assert (other.name, other.status) == ("Ada L.", "merged")


def test_nobody_becomes_merged_by_the_form(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1)
    url = reverse("admin:people_person_change", args=[person.pk])
    assert b'value="merged"' not in page.get(url).content
    answer = page.post(url, {"name": "Eve", "status": "merged", "metadata": "{}"})
    assert "status" in answer.context["adminform"].form.errors
    person.refresh_from_db()
    assert person.status == "active"


def test_a_form_that_was_open_while_the_person_was_merged_saves_nothing(
    page: Client, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, other = enrolled(1), enrolled(2, name="Ada")
    clean = Person.clean

    def merge_meanwhile(self: Person) -> None:
        clean(self)
        monkeypatch.setattr(Person, "clean", clean)
        merging.merge(kept, other, actor=STAFF)

    monkeypatch.setattr(Person, "clean", merge_meanwhile)
    url = reverse("admin:people_person_change", args=[other.pk])
    answer = page.post(url, {"name": "Eve", "status": "active", "metadata": "{}"}, follow=True)
    assert any("Nothing was saved" in line for line in said(answer))
    other.refresh_from_db()
    assert other.name == "Ada"


def test_the_page_before_an_erasure_counts_what_was_merged(page: Client, enrolled: Enrol) -> None:
    kept, other = enrolled(1, 1, 2), enrolled(2)
    merging.merge(kept, other, actor=STAFF)
    for one in (kept, other):
        answer = page.get(reverse("admin:people_person_delete", args=[one.pk]))
        assert dict(answer.context["model_count"]) == {"people": 2, "photos": 3, "templates": 3}
    page.post(reverse("admin:people_person_delete", args=[other.pk]), {"post": "yes"})
    assert not Person.objects.exists()


def test_staff_who_may_not_change_people_neither_merge_nor_undo(
    page_of: Callable[..., Client], enrolled: Enrol
) -> None:
    kept, other, third = enrolled(1, 1), enrolled(2), enrolled(1, 2)
    done = merging.merge(kept, other, actor=STAFF)
    looker = page_of("view_person", "view_merge", "change_merge", "delete_person")
    assert looker.get(confirm(kept, third)).status_code == 403
    assert looker.post(confirm(kept, third), {"kept": str(kept.pk)}).status_code == 403
    assert looker.post(reverse("admin:merge_undo", args=[done.pk])).status_code == 403
    assert looker.get(MERGES).status_code == 403
    person_page = looker.get(reverse("admin:people_person_change", args=[third.pk])).content.decode()
    assert "merge-link" not in person_page
    editor = page_of("view_person", "change_person")
    assert editor.get(MERGES).status_code == 200
    assert editor.get(confirm(kept, third)).status_code == 200
    assert Merge.objects.count() == 1


def test_whoever_is_not_logged_in_merges_nobody(client: Client, enrolled: Enrol) -> None:
    two = enrolled(1), enrolled(2)
    answer = client.post(confirm(*two), {"kept": str(two[0].pk)})
    assert answer["Location"].startswith(reverse("admin:login"))
    assert not Merge.objects.exists()
