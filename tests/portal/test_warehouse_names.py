"""Candidates, versions and stable names, and what renaming them in SQL leaves alone."""

from __future__ import annotations

import pytest

from portal.warehouse import names


def renamed(sql: str, mark: str = "?") -> str:
    return names.with_schemas(sql, lambda schema: f"v1__{schema}", mark)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from mart_finance.mrr", "select * from v1__mart_finance.mrr"),
        ('select * from "mart_finance"."mrr"', 'select * from "v1__mart_finance"."mrr"'),
        ("select * from `mart_finance`.mrr", "select * from `v1__mart_finance`.mrr"),
        ("select mart_count from mart_a.b join mart_c.d", "select mart_count from v1__mart_a.b join v1__mart_c.d"),
        ("select 'mart_a.b', 'it''s mart_a.b'", "select 'mart_a.b', 'it''s mart_a.b'"),
        ("select 1 -- mart_a.b ?\nfrom mart_a.b", "select 1 -- mart_a.b ?\nfrom v1__mart_a.b"),
        ("/* mart_a.b */ select 1", "/* mart_a.b */ select 1"),
        ('select "mart_a.b", "?"', 'select "mart_a.b", "?"'),
        ("select * from smart_a.b, candidate_mart_a.b", "select * from smart_a.b, candidate_mart_a.b"),
    ],
)
def test_only_schemas_of_marts_are_renamed(sql, expected):
    assert renamed(sql) == expected


def test_an_earlier_version_has_a_name_of_its_own():
    rename = names.in_versions("v2", "v1")
    sql = "select 1 from mart_a.b join before_mart_a.b"
    assert names.with_schemas(sql, rename) == "select 1 from v2__mart_a.b join v1__mart_a.b"


def test_marks_become_those_of_the_driver():
    sql = "select '100%?' as x, a % b -- 5% ?\nfrom mart_a.b where c = ? and d like '%?%'"
    expected = "select '100%%?' as x, a %% b -- 5%% ?\nfrom v1__mart_a.b where c = %s and d like '%%?%%'"
    assert renamed(sql, "%s") == expected


def test_three_names_are_told_apart():
    assert names.candidate("mart_finance") == "candidate_mart_finance"
    assert names.candidate("raw_stripe") == "raw_stripe"
    assert names.spoken("candidate_mart_finance") == "mart_finance"
    location = names.version_of("00000012")
    assert names.is_version(names.of_version(location, "mart_finance"))
    assert [names.is_published(name) for name in ("mart_a", "v1__mart_a", "candidate_mart_a", "raw_v1", "visits")] == [
        True,
        True,
        False,
        False,
        False,
    ]
