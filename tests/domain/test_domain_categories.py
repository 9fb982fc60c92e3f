"""Every condition has exactly one category."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyhouse.domain.categories import CATEGORIES, CATEGORY_VERSION, SYNONYMS, category_of


@pytest.mark.parametrize(
    ("tags", "category"),
    [
        ([], "other"),
        (["Recurring", "Hide From New"], "other"),
        (["Sports"], "sports"),
        (["NFL"], "sports"),
        (["bitcoin"], "crypto"),
        (["us-politics"], "politics"),
        (["US Politics"], "politics"),
        (["Crypto", "POLITICS"], "politics"),
        (["world", "Geopolitics", "Sports"], "sports"),
        (["World Cup"], "sports"),
        (["Pop Culture", "Mentions"], "culture"),
        (["mention_markets"], "mentions"),
        (["Climate & Weather"], "weather"),
        (["politics-adjacent", "sportsmanship"], "other"),
    ],
)
def test_the_first_category_of_the_list_wins(tags, category):
    assert category_of(tags) == category


@given(st.lists(st.one_of(st.text(max_size=20), st.sampled_from(sorted(SYNONYMS)))), st.randoms())
def test_the_order_and_case_of_tags_do_not_matter(tags, random):
    shuffled = [random.choice([tag, tag.upper()]) if tag.isascii() else tag for tag in tags]
    random.shuffle(shuffled)
    assert category_of(shuffled) == category_of(tags)
    assert category_of(tags) in CATEGORIES


def test_the_table_names_only_published_categories():
    assert CATEGORIES == (
        "politics", "sports", "crypto", "economics", "tech", "culture", "world", "weather", "mentions", "other",
    )  # fmt: skip
    assert set(SYNONYMS.values()) == set(CATEGORIES) - {"other"}
    assert all(SYNONYMS[category] == category for category in CATEGORIES if category != "other")
    assert all(word == word.lower() and " " not in word for word in SYNONYMS)
    assert CATEGORY_VERSION


def test_no_synonym_is_listed_under_two_categories():
    from polyhouse.domain import categories

    words = [word for words in categories._SYNONYM_LISTS.values() for word in words.split()]
    assert len(words) == len(set(words))
