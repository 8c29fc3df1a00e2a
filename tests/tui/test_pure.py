"""Graph lines, layout, pace, bindings, header: functions from values to values."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import proctui
from proctui.machine.series import Ring
from proctui.tui import braille, layout
from proctui.tui.bindings import GROUPS, KEYS, Context, applies, footer_keys
from proctui.tui.feed import Pace
from proctui.tui.key_labels import key_label
from proctui.tui.plot import Plot, Scale, mean_of
from proctui.tui.widgets import graph
from proctui.tui.widgets.header import HeaderFacts, header_runs
from proctui.tui.widgets.line_view import _from as cut


def test_a_spark_fills_two_samples_a_cell_newest_at_the_right() -> None:
    assert braille.spark([0, 25, 50, 75, 100], 4, 100) == " ⢀⣠⣾"[0] + braille.spark(
        [0, 25, 50, 75, 100], 3, 100
    )
    assert braille.spark([100, 100], 1, 100) == "⣿"
    assert braille.spark([], 3, 100) == "   "


def test_anything_above_zero_shows_a_dot_and_unknown_none() -> None:
    assert braille.spark([0.01, None], 1, 100) == "⡀"
    assert braille.spark([None, 0], 1, 100) == " "


def test_more_than_the_top_stays_inside() -> None:
    assert braille.spark([1e9, 1e9], 1, 100) == "⣿"


def ring(*values: float | None) -> Ring:
    made = Ring(100)
    for value in values:
        made.append(value)
    return made


def drawn(
    plot: Plot, whole: Ring, share: Ring | None, width: int = 4, height: int = 2
) -> list[str]:
    rows = plot.rows(
        mean_of(whole),
        None if share is None else mean_of(share),
        end=whole.count - 1,
        last=(whole.count - 1) // 2,
        scale=Scale(2),
        width=width,
        height=height,
        top=100,
    )
    return ["".join(text for text, _mine in row) for row in rows]


def test_a_plot_has_the_asked_size_and_two_tones() -> None:
    whole, share = ring(*[100.0] * 8), ring(*[50.0] * 8)
    rows = Plot().rows(
        mean_of(whole), mean_of(share), end=7, last=3, scale=Scale(2), width=4, height=2, top=100
    )
    assert rows == [[("⣿⣿⣿⣿", False)], [("⣿⣿⣿⣿", True)]]


@pytest.mark.parametrize("count", [1, 7, 8, 99])
def test_a_plot_is_always_as_wide_as_asked(count: int) -> None:
    rows = drawn(Plot(), ring(*[30.0] * count), ring(*[10.0] * count), width=9, height=3)
    assert [len(row) for row in rows] == [9, 9, 9]


def test_a_share_larger_than_the_whole_is_still_drawn() -> None:
    assert drawn(Plot(), ring(10, 10), ring(90, 90), width=1, height=1) == ["⣿"]


def test_a_gap_stays_a_gap() -> None:
    assert drawn(Plot(), ring(100, 100, None, None, 100, 100), None, width=3, height=1) == ["⣿ ⣿"]


def test_a_tick_computes_the_newest_cell_only_and_moves_whole_cells() -> None:
    plot, whole = Plot(), ring(*[50.0] * 40)
    first = drawn(plot, whole, None, width=10)
    before = plot.computed
    whole.append(100.0)
    second = drawn(plot, whole, None, width=10)
    assert plot.computed == before + 1
    assert second[1][:-1] == first[1][1:]
    whole.append(100.0)
    third = drawn(plot, whole, None, width=10)
    assert plot.computed == before + 2
    assert third[1][:-1] == second[1][:-1], "a half-filled cell fills where it stands"


def test_many_looks_in_a_cell_show_their_means() -> None:
    rows = Plot().rows(
        mean_of(ring(0, 100, 0, 100)),
        None,
        end=3,
        last=0,
        scale=Scale(4),
        width=1,
        height=1,
        top=100,
    )
    assert rows == [[("⣤", False)]]


def test_a_look_over_many_cells_fills_them_all() -> None:
    rows = Plot().rows(
        mean_of(ring(0, 100, 0)), None, end=2, last=5, scale=Scale(1, 2), width=6, height=1, top=100
    )
    assert rows == [[("  ⣿⣿  ", False)]]


@given(st.floats(1, 36_000), st.integers(1, 300), st.integers(0, 100_000))
def test_a_scale_shows_what_is_asked_and_finds_its_way_back(
    looks: float, cells: int, index: int
) -> None:
    scale = Scale.of(looks, cells)
    assert scale.shown(cells) >= int(looks)
    first, last = scale.dots(scale.cell(index))[0][0], scale.last(scale.cell(index))
    assert first <= index <= last
    assert scale.looks == 1 or scale.cells == 1


def test_ceilings_are_round_and_rest() -> None:
    assert [braille.ceiling(x) for x in (0, 0.3, 1, 1.1, 3, 7, 99, 100, 101)] == [
        1, 0.5, 1, 2, 5, 10, 100, 100, 200,
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(200, 48), (120, 36), (80, 22), (60, 16), (300, 90), (100, 30)])
def test_panes_fill_the_screen_and_never_overlap(size: tuple[int, int]) -> None:
    width, height = size
    regions = layout.place(width, height)
    cells = set()
    for region in regions.values():
        assert region.width > 0 and region.height > 0
        assert region.right <= width and region.bottom <= height
        for x in range(region.x, region.right):
            for y in range(region.y, region.bottom):
                assert (x, y) not in cells
                cells.add((x, y))
    gaps = width * height - len(cells)
    assert gaps <= 2 * height


def test_a_tiny_terminal_has_one_pane_and_a_large_one_all() -> None:
    assert list(layout.place(40, 8, "log")) == ["log"]
    assert set(layout.place(200, 48)) == set(layout.PANES)
    assert list(layout.place(200, 48, "stack", zoomed=True)) == ["stack"]


def test_a_medium_terminal_shows_the_lower_pane_that_was_used_last() -> None:
    assert "stack" in layout.place(80, 22, "stack")
    assert "inspector" in layout.place(80, 22, "processes", lower="inspector")
    assert {"cpu", "memory", "processes"} < set(layout.place(80, 22))


def test_a_pace_that_can_not_be_held_is_slowed_and_taken_up_again() -> None:
    pace = Pace(1.0)
    for _ in range(3):
        pace.after(0.9)
    assert pace.current == 2.0
    for _ in range(3):
        pace.after(1.9)
    assert pace.current == 4.0
    for _ in range(8):
        pace.after(0.1)
    assert pace.current == 2.0
    assert pace.after(0.1) == pytest.approx(1.9)


def test_a_single_slow_look_changes_nothing() -> None:
    pace = Pace(1.0)
    pace.after(0.9)
    pace.after(0.01)
    pace.after(0.9)
    assert pace.current == 1.0
    assert pace.after(5.0) > 0


def test_every_key_has_id_tooltip_and_group() -> None:
    ids = [key.id for key in KEYS]
    assert len(set(ids)) == len(ids)
    for key in KEYS:
        assert key.tooltip and key.label
        assert key.group in GROUPS
    keys = [one for key in KEYS for one in key.keys.split(",")]
    assert len(set(keys)) == len(keys), "one key means one thing"


CONTRACT = """up down j k pageup pagedown home end enter slash f3 n N backslash f4 t f5 plus minus asterisk
space c U f9 K F Z f6 less_than_sign greater_than_sign P M T I s S h l H ctrl+l left_square_bracket
right_square_bracket z tab colon ctrl+p question_mark f1 q f10 escape"""


def test_every_key_of_the_contract_is_bound() -> None:
    bound = {one for key in KEYS for one in key.keys.split(",")}
    assert set(CONTRACT.split()) <= bound


def test_k_moves_and_never_kills() -> None:
    assert next(key for key in KEYS if "k" in key.keys.split(",")).action == "move(-1)"


def test_the_footer_shows_what_applies() -> None:
    def shown(**fields: object) -> set[str]:
        return {key.id for key in footer_keys(Context(**fields))}  # type: ignore[arg-type]

    assert "act.kill" in shown()
    assert "act.kill" not in shown(read_only=True)
    assert "act.kill" not in shown(selected=False)
    assert "act.strays" in shown(strays=1)
    assert "act.strays" not in shown()
    assert "sort.choose" not in shown(pane="log")
    assert "find.filter" in shown(pane="log")
    assert "find.filter" not in shown(pane="cpu")
    assert "time.forward" in shown(past=True)
    assert "app.quit" in shown(pane="cpu", selected=False)


def test_keys_that_do_nothing_do_not_apply() -> None:
    forward = next(key for key in KEYS if key.id == "time.forward")
    assert not applies(forward, Context())
    assert applies(forward, Context(past=True))


@pytest.mark.parametrize(
    ("keys", "label"),
    [("slash,f3", "/ F3"), ("ctrl+p", "Ctrl+P"), ("K", "K"), ("f10", "F10"), ("space", "Space")],
)
def test_keys_are_named_as_people_name_them(keys: str, label: str) -> None:
    assert key_label(keys) == label


FACTS = HeaderFacts(
    job="make check", state="live", processes=12, strays=1, cpu=143.2, memory=3 << 28,
    elapsed=75, own_cpu=1.2, own_memory=48 << 20,
)  # fmt: skip


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
def test_the_header_fits_any_width(width: int) -> None:
    text = "".join(text for text, _style in header_runs(FACTS, width))
    assert len(text) == max(len(text.rstrip()), width) or len(text) <= width + 20
    assert "make" in text


def test_the_header_tells_all_of_it_where_there_is_room() -> None:
    text = "".join(text for text, _style in header_runs(FACTS, 199))
    for part in (
        "make check",
        "live",
        "12 processes",
        "1 stray",
        "143 %",
        "768M",
        "1m15s",
        "1.2 %",
    ):
        assert part in text


def test_the_header_without_a_session_says_that_it_only_looks() -> None:
    text = "".join(text for text, _style in header_runs(FACTS._replace(job=None), 199))
    assert "no job: looking only" in text
    assert "stray" not in text


def test_the_page_about_keys_names_every_id() -> None:
    page = (Path(proctui.__file__).parent / "docs" / "keys.md").read_text("utf-8")
    for key in KEYS:
        assert f"| `{key.id}` |" in page


def test_a_legend_that_does_not_fit_is_shortened_by_whole_figures() -> None:
    runs = [("● ", "share"), ("machine ", "dim"), ("  811M", "figure"), (" of 23.5G", "dim")]
    assert graph._whole(runs, 25) == tuple(runs)
    assert graph._whole(runs, 24) == tuple(runs[:3])


def test_scrolled_sideways_every_cell_keeps_its_place() -> None:
    runs = (("ab", "x"), ("名前", "y"), ("", "z"), ("cd", ""))
    wanted = ["ab名前cd", "b名前cd", "名前cd", " 前cd", "前cd", " cd", "cd", "d", "", ""]
    assert ["".join(text for text, _ in cut(runs, at)) for at in range(10)] == wanted
    assert cut(runs, 3)[0] == (" 前", "y")
