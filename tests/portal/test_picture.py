"""Where the boxes of a lineage stand, and what is connected."""

from __future__ import annotations

from portal.picture import BOX_HEIGHT, BOX_WIDTH, LANE, LINE_CHARACTERS, Box, Lane, Placed, broken, draw


def box(key: str, **values) -> Box:
    return Box(key, key, f"/{key}/", "built", "", **values)


READS = {"b1": ["a1"], "b2": ["a2"], "c1": ["b2"], "c2": ["c1", "b1"], "d": ["c2", "gone"]}


def drawn() -> tuple[dict[str, Placed], object]:
    lanes = [
        Lane("A", [box("a1"), box("a2"), box("a3")]),
        Lane("nothing", []),
        Lane("B", [box("b2"), box("b1")]),
        Lane("C", [box("c2", is_here=True), box("c1")]),
        Lane("D", [box("d")]),
    ]
    picture = draw(lanes, READS)
    return {one.box.key: one for _, _, boxes in picture.lanes for one in boxes}, picture


def test_lanes_go_from_left_to_right_and_empty_ones_fall_away():
    at, picture = drawn()
    assert [title for title, _, _ in picture.lanes] == ["A", "B", "C", "D"]
    assert at["a1"].x < at["b1"].x < at["c1"].x < at["d"].x
    assert picture.width == 4 * LANE


def test_no_two_boxes_overlap_and_all_are_inside():
    at, picture = drawn()
    for one in at.values():
        assert 0 <= one.x <= picture.width - BOX_WIDTH
        assert 0 <= one.y <= picture.height - BOX_HEIGHT
        for other in at.values():
            assert one is other or one.x != other.x or abs(one.y - other.y) >= BOX_HEIGHT


def test_a_box_stands_beside_what_it_reads_and_below_it_in_the_same_lane():
    at, _ = drawn()
    assert at["b1"].y < at["b2"].y, "as a1 and a2 stand"
    assert at["c1"].y < at["c2"].y, "c2 reads c1"


def test_every_edge_between_boxes_is_a_line_and_those_of_what_one_looks_at_come_last():
    _, picture = drawn()
    assert len(picture.lines) == 6, "what is not in the picture has no line"
    assert [line.is_near for line in picture.lines] == [False] * 3 + [True] * 3


def test_a_loop_is_drawn_all_the_same():
    picture = draw([Lane("A", [box("x"), box("y")])], {"x": ["y"], "y": ["x"]})
    assert len(picture.lines) == 2


def test_nothing_is_no_picture():
    assert draw([], {}).lanes == []


def test_names_are_broken_where_they_have_a_joint():
    assert broken("invoices") == ("invoices",)
    assert broken("int_mrr__item_timeline") == ("int_mrr__item_", "timeline")
    assert broken("Dashboard: MRR and waterfall") == ("Dashboard: MRR and", "waterfall")
    long = broken("int_github__pull_request_commits_summed_up_again")
    assert len(long) == 2
    assert long[1].endswith("…")
    assert all(len(line) <= LINE_CHARACTERS for line in (*long, *broken("x" * 60)))
