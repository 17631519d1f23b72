from __future__ import annotations

from metrics.dbt_selection import Mart, SourceTable, choose, descendants

SOURCES = [
    SourceTable("source.invoices", "raw_stripe.invoices", is_optional=False),
    SourceTable("source.coupons", "raw_stripe.coupons", is_optional=True),
    SourceTable("source.pulls", "raw_github.pulls", is_optional=False),
]
MARTS = [Mart("model.mrr", "mart_finance.mrr"), Mart("model.pulls", "mart_engineering.pulls")]
CHILDREN = {
    "source.invoices": ["model.stg_invoices"],
    "source.coupons": ["model.stg_coupons"],
    "source.pulls": ["model.stg_pulls"],
    "model.stg_invoices": ["model.mrr"],
    "model.stg_coupons": ["model.mrr"],
    "model.stg_pulls": ["model.pulls"],
}
ALL = frozenset(source.table for source in SOURCES)


def test_nothing_in_particular_changed_builds_everything() -> None:
    selection = choose((), ALL, SOURCES, MARTS, CHILDREN)
    assert (selection.select, selection.exclude, selection.left_out, selection.is_empty) == ((), (), (), False)


def test_what_changed_is_selected_with_all_that_depends_on_it() -> None:
    selection = choose(["raw_stripe.invoices", "raw_stripe.coupons"], ALL, SOURCES, MARTS, CHILDREN)
    assert selection.select == ("source:raw_stripe.coupons+", "source:raw_stripe.invoices+")


def test_a_changed_table_that_no_dbt_model_reads_needs_no_build() -> None:
    assert choose(["raw_crm.deals"], ALL, SOURCES, MARTS, CHILDREN).is_empty


def test_without_any_raw_table_there_is_nothing_to_build() -> None:
    assert choose((), frozenset(), SOURCES, MARTS, CHILDREN).is_empty


def test_a_missing_table_turns_off_what_needs_it_and_says_so() -> None:
    selection = choose((), ALL - {"raw_github.pulls"}, SOURCES, MARTS, CHILDREN)
    assert selection.exclude == ("source:raw_github.pulls+",)
    assert selection.left_out == (
        "mart_engineering.pulls: needs raw_github.pulls, which no source has brought in yet.",
    )


def test_a_missing_optional_table_turns_off_nothing() -> None:
    selection = choose((), ALL - {"raw_stripe.coupons"}, SOURCES, MARTS, CHILDREN)
    assert (selection.exclude, selection.left_out) == ((), ())
    assert selection.missing_optional == ("raw_stripe.coupons",)


EVENTS = [
    SourceTable("source.events", "raw_postgres.events", is_optional=False, one_of="usage events"),
    SourceTable("source.other_events", "raw_mixpanel.events", is_optional=False, one_of="usage events"),
]
USAGE = {"source.events": ["model.usage"], "source.other_events": ["model.usage"]}


def test_of_tables_that_stand_in_for_each_other_one_is_enough() -> None:
    marts = [Mart("model.usage", "mart_product.active_usage")]
    selection = choose((), frozenset({"raw_mixpanel.events"}), EVENTS, marts, USAGE)
    assert (selection.exclude, selection.left_out) == ((), ())
    assert selection.missing_optional == ("raw_postgres.events",)


def test_without_any_of_tables_that_stand_in_for_each_other_what_needs_one_is_left_out() -> None:
    marts = [Mart("model.usage", "mart_product.active_usage")]
    selection = choose((), ALL, [*SOURCES, *EVENTS], [*MARTS, *marts], {**CHILDREN, **USAGE})
    assert selection.exclude == ("source:raw_mixpanel.events+", "source:raw_postgres.events+")
    assert selection.missing_optional == ()
    assert selection.left_out == (
        "mart_product.active_usage: needs raw_mixpanel.events or raw_postgres.events, which no source has brought in yet.",
    )


def test_a_table_that_is_said_to_have_changed_but_does_not_exist_is_not_selected() -> None:
    selection = choose(["raw_github.pulls"], ALL - {"raw_github.pulls"}, SOURCES, MARTS, CHILDREN)
    assert selection.is_empty


# raw_crm.deals → stg_deals → int_deals → customers (which can do without) and → deals → report;
# accounts is below customers, compared below customers and deals.
PARTLY = SourceTable("source.deals", "raw_crm.deals", is_optional=False, optional_for=("customers",))
CRM_MARTS = [Mart(f"model.p.{name}", f"mart.{name}") for name in ("customers", "deals", "accounts", "compared")]
CRM_CHILDREN = {
    "source.deals": ["model.p.stg_deals"],
    "model.p.stg_deals": ["model.p.int_deals", "test.p.key_of_stg_deals.1"],
    "model.p.int_deals": ["model.p.customers", "model.p.deals"],
    "source.invoices": ["model.p.customers"],
    "model.p.customers": ["model.p.accounts", "model.p.compared", "test.p.customers_know_deals.2"],
    "model.p.deals": ["model.p.compared", "test.p.customers_know_deals.2"],
}


def test_a_table_can_be_optional_for_some_and_needed_by_the_rest() -> None:
    selection = choose((), frozenset({"raw_stripe.invoices"}), [SOURCES[0], PARTLY], CRM_MARTS, CRM_CHILDREN)
    assert selection.exclude == ("deals+",)
    assert selection.missing_optional == ("raw_crm.deals",)
    assert selection.left_out == (
        "mart.compared: needs raw_crm.deals, which no source has brought in yet.",
        "mart.deals: needs raw_crm.deals, which no source has brought in yet.",
    )
    lacking = ("model.p.deals", "model.p.compared", "test.p.customers_know_deals.2")
    assert selection.lacking == dict.fromkeys(lacking, ("raw_crm.deals",))


def test_what_can_do_without_one_table_still_needs_the_others() -> None:
    selection = choose((), frozenset({"raw_crm.deals"}), [SOURCES[0], PARTLY], CRM_MARTS, CRM_CHILDREN)
    assert selection.exclude == ("source:raw_stripe.invoices+",)
    assert [sentence.split(":")[0] for sentence in selection.left_out] == [
        "mart.accounts",
        "mart.compared",
        "mart.customers",
    ]


def test_descendants_are_found_once_even_in_a_loop() -> None:
    assert descendants(["a"], {"a": ["b", "c"], "b": ["c"], "c": ["a"]}) == {"a", "b", "c"}
