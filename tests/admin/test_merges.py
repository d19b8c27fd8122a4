"""Staff merge two records of one human, and undo the merge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from people import erasure, merging
from people.models import Collection, Merge, Person
from tests.actors import STAFF
from tests.admin.messages import messages_of

Enrol = Callable[..., Person]
PEOPLE = "/admin/people/person/"
MERGES = "/admin/people/merge/"


def merge_url(first: Person, second: Person) -> str:
    return reverse("admin:person_merge", args=[first.pk, second.pk])


def test_a_duplicate_warning_links_to_the_page_that_merges(page: Client, enrolled: Enrol) -> None:
    first, second = enrolled(1, 1, name="Ada"), enrolled(1, 2, name="Ada L.")
    url = reverse("admin:people_person_change", args=[second.pk])
    assert merge_url(second, first) in page.get(url).content.decode()
    response = page.get(merge_url(second, first))
    assert response.status_code == 200
    assert response.content.count(b'class="face large"') == 2
    response = page.post(merge_url(second, first), {"kept": str(first.pk)}, follow=True)
    assert response.redirect_chain[-1][0] == reverse("admin:people_person_change", args=[first.pk])
    assert any("with 1 photo" in line for line in messages_of(response))
    assert Person.objects.get(pk=second.pk).kept() == first
    assert "Possible duplicate" not in response.content.decode()


@pytest.mark.parametrize("kept", [0, 1])
def test_staff_choose_which_of_the_two_is_kept(page: Client, enrolled: Enrol, kept: int) -> None:
    pair = enrolled(1), enrolled(2)
    page.post(merge_url(*pair), {"kept": str(pair[kept].pk)})
    merge = Merge.objects.get()
    assert (merge.kept_id, merge.merged_id) == (pair[kept].pk, pair[1 - kept].pk)


@pytest.mark.parametrize("form", [{}, {"kept": "x"}, {"kept": "00000000-0000-0000-0000-000000000000"}])
def test_nothing_is_merged_until_one_of_the_two_is_chosen(
    page: Client, enrolled: Enrol, form: dict[str, str]
) -> None:
    response = page.post(merge_url(enrolled(1), enrolled(2)), form)
    assert messages_of(response) == ["Choose which person to keep."]
    assert not Merge.objects.exists()


def test_exactly_two_people_of_the_list_can_be_merged(page: Client, enrolled: Enrol) -> None:
    people = [enrolled(seed) for seed in range(3)]

    def select(*chosen: Person) -> Any:
        return page.post(
            PEOPLE, {"action": "merge", "_selected_action": [person.pk for person in chosen]}, follow=True
        )

    for chosen in (people[:1], people):
        assert messages_of(select(*chosen)) == ["Select exactly two people to merge."]
    response = select(*people[:2])
    assert {card["person"] for card in response.context["cards"]} == set(people[:2])


def test_a_message_says_why_people_cannot_be_merged(page: Client, enrolled: Enrol) -> None:
    kept, merged, third = enrolled(1), enrolled(2), enrolled(3)
    person_in_second = enrolled(1, into=Collection.objects.create(name="second"))
    for pair in ((kept, person_in_second), (kept, kept)):
        response = page.get(merge_url(*pair))
        assert "Only two different people in the same collection" in response.content.decode()
        response = page.post(merge_url(*pair), {"kept": str(kept.pk)}, follow=True)
        assert messages_of(response) == ["Only two different people in the same collection can be merged."]
    merging.merge(kept, merged, actor=STAFF)
    response = page.post(merge_url(merged, third), {"kept": str(third.pk)}, follow=True)
    assert messages_of(response) == ["One of these people has already been merged into another person."]
    erasure.erase(third, actor=STAFF)
    assert page.get(merge_url(kept, third)).status_code == 404
    assert Merge.objects.count() == 1


def test_a_merge_is_undone_from_the_list(page: Client, enrolled: Enrol) -> None:
    kept, merged = enrolled(1, name="Ada"), enrolled(2, name="Ada L.")
    merge = merging.merge(kept, merged, actor=STAFF)
    response = page.get(MERGES)
    undo = reverse("admin:merge_undo", args=[merge.pk])
    assert undo in response.content.decode()
    assert page.get(undo).status_code == 405
    response = page.post(undo, follow=True)
    assert messages_of(response) == ["The merge was undone. These are two separate people again."]
    assert undo not in response.content.decode()
    assert Person.objects.get(pk=merged.pk).status == "active"
    (refusal,) = messages_of(page.post(undo, follow=True))
    assert "already been undone" in refusal


def test_merges_are_undone_in_reverse_order_and_not_after_an_erasure(page: Client, enrolled: Enrol) -> None:
    first, second, third = enrolled(1), enrolled(2), enrolled(3)
    inner = merging.merge(second, third, actor=STAFF)
    outer = merging.merge(first, second, actor=STAFF)
    response = page.post(reverse("admin:merge_undo", args=[inner.pk]), follow=True)
    assert messages_of(response) == ["This person was merged again later. Undo the later merge first."]
    erasure.erase(first, actor=STAFF)
    response = page.post(reverse("admin:merge_undo", args=[outer.pk]), follow=True)
    (refusal,) = messages_of(response)
    assert "erased" in refusal
    assert response.content.decode().count("(erased)") == 4


def test_merges_are_searched_by_person_id_and_are_read_only(page: Client, enrolled: Enrol) -> None:
    kept, merged = enrolled(1), enrolled(2)
    merge = merging.merge(kept, merged, actor=STAFF)
    merging.merge(enrolled(3), enrolled(4), actor=STAFF)
    for person in (kept, merged):
        assert list(page.get(MERGES, {"q": str(person.pk)}).context["cl"].queryset) == [merge]
    assert page.get(f"{MERGES}add/").status_code == 403
    assert page.post(f"{MERGES}{merge.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_list_of_merges_takes_as_many_queries_for_ten_as_for_one(
    page: Client, enrolled: Enrol, django_assert_max_num_queries: Any
) -> None:
    kept = enrolled(0)
    for seed in range(1, 11):
        merging.merge(kept, enrolled(seed), actor=STAFF)
    with django_assert_max_num_queries(8):
        response = page.get(MERGES)
    assert response.content.count(b"formaction") == 10


def test_a_merged_person_is_not_listed_and_is_read_only(page: Client, enrolled: Enrol) -> None:
    kept, merged = enrolled(1, name="Ada"), enrolled(2, name="Ada L.")
    merging.merge(kept, merged, actor=STAFF)
    assert list(page.get(PEOPLE).context["cl"].queryset) == [kept]
    assert list(page.get(PEOPLE, {"status": "merged"}).context["cl"].queryset) == [merged]
    url = reverse("admin:people_person_change", args=[merged.pk])
    shown = page.get(url)
    assert "This record was merged into" in shown.content.decode()
    assert reverse("admin:people_person_change", args=[kept.pk]) in shown.content.decode()
    assert 'name="_save"' not in shown.content.decode()
    form = {"name": "Eve", "status": "active", "metadata": "{}"}
    assert page.post(url, form).status_code == 403
    merged.refresh_from_db()
    assert (merged.name, merged.status) == ("Ada L.", "merged")


def test_the_form_cannot_set_the_status_merged(page: Client, enrolled: Enrol) -> None:
    person = enrolled(1)
    url = reverse("admin:people_person_change", args=[person.pk])
    assert b'value="merged"' not in page.get(url).content
    response = page.post(url, {"name": "Eve", "status": "merged", "metadata": "{}"})
    assert "status" in response.context["adminform"].form.errors
    person.refresh_from_db()
    assert person.status == "active"


def test_a_form_saves_nothing_if_the_person_was_merged_meanwhile(
    page: Client, enrolled: Enrol, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, merged = enrolled(1), enrolled(2, name="Ada")
    clean = Person.clean

    def merge_meanwhile(self: Person) -> None:
        clean(self)
        monkeypatch.setattr(Person, "clean", clean)
        merging.merge(kept, merged, actor=STAFF)

    monkeypatch.setattr(Person, "clean", merge_meanwhile)
    url = reverse("admin:people_person_change", args=[merged.pk])
    response = page.post(url, {"name": "Eve", "status": "active", "metadata": "{}"}, follow=True)
    assert any("Nothing was saved" in line for line in messages_of(response))
    merged.refresh_from_db()
    assert merged.name == "Ada"


def test_the_confirmation_page_of_an_erasure_counts_merged_records(page: Client, enrolled: Enrol) -> None:
    kept, merged = enrolled(1, 1, 2), enrolled(2)
    merging.merge(kept, merged, actor=STAFF)
    for person in (kept, merged):
        response = page.get(reverse("admin:people_person_delete", args=[person.pk]))
        assert dict(response.context["model_count"]) == {"people": 2, "photos": 3, "templates": 3}
    page.post(reverse("admin:people_person_delete", args=[merged.pk]), {"post": "yes"})
    assert not Person.objects.exists()


def test_merging_and_undoing_require_permission_to_change_people(
    page_of: Callable[..., Client], enrolled: Enrol
) -> None:
    kept, merged, third = enrolled(1, 1), enrolled(2), enrolled(1, 2)
    merge = merging.merge(kept, merged, actor=STAFF)
    viewer = page_of("view_person", "view_merge", "change_merge", "delete_person")
    assert viewer.get(merge_url(kept, third)).status_code == 403
    assert viewer.post(merge_url(kept, third), {"kept": str(kept.pk)}).status_code == 403
    assert viewer.post(reverse("admin:merge_undo", args=[merge.pk])).status_code == 403
    assert viewer.get(MERGES).status_code == 403
    person_page = viewer.get(reverse("admin:people_person_change", args=[third.pk])).content.decode()
    assert "merge-link" not in person_page
    editor = page_of("view_person", "change_person")
    assert editor.get(MERGES).status_code == 200
    assert editor.get(merge_url(kept, third)).status_code == 200
    assert Merge.objects.count() == 1


def test_merging_requires_a_login(client: Client, enrolled: Enrol) -> None:
    pair = enrolled(1), enrolled(2)
    response = client.post(merge_url(*pair), {"kept": str(pair[0].pk)})
    assert response["Location"].startswith(reverse("admin:login"))
    assert not Merge.objects.exists()
