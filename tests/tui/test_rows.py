"""Which lines the tree has and in which order; filters and columns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from proctui.errors import BadArgument
from proctui.model import Certainty, Role
from proctui.tui.cells import GLYPHS, Marks, age_text, exit_text, fit, row, status_text
from proctui.tui.columns import columns_for
from proctui.tui.query import parse
from proctui.tui.rows import SORTS, Outline
from tests.tui.fakes import DEMO, Fake, FakeWatch, crowd, demo_watch


def shown(watch: FakeWatch, **options: object) -> list[int]:
    outline = Outline()
    outline.change(**options)
    outline.update(watch.tick())
    return [line.pid for line in outline.lines]


def test_the_job_stands_below_proctui_and_its_shell() -> None:
    assert shown(demo_watch(), whole_path=True) == [
        710, 900, 901, 902, 1000, 1001, 1010, 1011, 1002, 1003, 1020, 1021,
    ]  # fmt: skip


def test_what_the_job_hangs_on_is_one_line_until_it_is_unfolded() -> None:
    assert shown(demo_watch()) == [
        710, 900, 1000, 1001, 1010, 1011, 1002, 1003, 1020, 1021,
    ]  # fmt: skip
    outline = Outline()
    view = demo_watch().tick()
    outline.update(view)
    assert outline.lines[1].path == (900, 901, 902)
    assert [line.guide for line in outline.lines if line.pid == 1000] == ["  └ "]
    for width, text in ((110, "◆ └▸proctui ■keeper ■runner"), (42, "◆ └▸proctui ■keep…")):
        runs = row(view, outline.lines[1], columns_for(width)[:2], (), Marks())
        assert "".join(text for text, _style in runs).rstrip() == text, width


def test_sums_count_what_hangs_on_any_part_of_a_line() -> None:
    outline = Outline()
    outline.change(sort="cpu")
    outline.update(demo_watch().tick())
    assert [line.pid for line in outline.lines[:3]] == [710, 900, 1000]


def test_a_filter_shows_the_whole_of_what_the_job_hangs_on() -> None:
    assert shown(demo_watch(), query=parse("cc1"))[:4] == [710, 900, 901, 902]


def test_the_machine_shows_everything_once() -> None:
    pids = shown(demo_watch(), machine=True)
    assert sorted(pids) == sorted(fake.pid for fake in DEMO)


def test_without_a_session_everything_is_shown() -> None:
    assert sorted(shown(FakeWatch())) == sorted(fake.pid for fake in DEMO)


def test_an_orphan_stays_under_its_old_ancestor() -> None:
    outline = Outline()
    outline.update(demo_watch().tick())
    guides = {line.pid: line.guide for line in outline.lines}
    assert guides[1020] == guides[1002]


def test_folding_hides_what_is_below() -> None:
    watch = demo_watch()
    outline = Outline()
    outline.update(watch.tick())
    key = next(line.key for line in outline.lines if line.pid == 1001)
    outline.change(folded=frozenset({key}))
    pids = [line.pid for line in outline.lines]
    assert 1010 not in pids and 1011 not in pids and 1001 in pids
    assert next(line for line in outline.lines if line.pid == 1001).fold == "shut"


def test_flat_sorts_by_cpu_largest_first() -> None:
    pids = shown(demo_watch(), tree=False, sort="cpu")
    assert pids[:4] == [1001, 1011, 1002, 1010]
    assert shown(demo_watch(), tree=False, sort="cpu", inverted=True)[-1] == 1001


def test_a_tree_sorts_siblings_by_the_sum_of_their_subtrees() -> None:
    pids = shown(demo_watch(), sort="cpu")
    assert pids.index(1001) < pids.index(1002) < pids.index(1003)
    assert pids.index(1010) > pids.index(1001)


@pytest.mark.parametrize("sort", list(SORTS))
@pytest.mark.parametrize("tree", [True, False])
def test_every_sort_keeps_every_line(sort: str, tree: bool) -> None:
    lines = shown(demo_watch(), sort=sort, tree=tree, whole_path=True)
    assert sorted(lines) == sorted(shown(demo_watch(), whole_path=True))


def test_a_filter_keeps_the_ancestors_of_what_matches() -> None:
    outline = Outline()
    outline.change(query=parse("cc1"))
    outline.update(demo_watch().tick())
    found = {line.pid: line.context for line in outline.lines}
    assert found[1011] is False
    assert found[1000] is True
    assert 1002 not in found


@pytest.mark.parametrize(
    ("text", "pids"),
    [
        ("cpu>50", {1001, 1011}),
        ("cpu>=97.3", {1001}),
        ("mem>100M", {1001, 1002, 1003}),
        ("threads>4 role:spawned", {1002, 1020}),
        ("is:stray", {1020, 1021}),
        ("role:likely", {1021}),
        ("role:stray -chromedriver", {1020, 1021} - {1020}),
        ("name:python state:d", {1002}),
        ("cmd:test_locks", {1003}),
        ("'sleep 600'", {1021}),
        ("user:root role:unknown", {2000}),
        ("pid:1003", {1003}),
        ("ppid:1000 !state:r cpu<1", {1003}),
        ("age<10", {1010, 1011}),
    ],
)
def test_filters(text: str, pids: set[int]) -> None:
    query = parse(text)
    assert query is not None
    view = demo_watch(now=199.0).tick()
    assert {pid for pid, proc in view.snapshot.procs.items() if query.matches(view, proc)} == pids


@pytest.mark.parametrize("text", ["cpu>many", "mem>5X", "role:", "age<3parsecs"])
def test_a_filter_that_means_nothing_says_so(text: str) -> None:
    with pytest.raises(BadArgument):
        parse(text)


def test_half_typed_quotes_and_nothing_at_all_are_fine() -> None:
    assert parse("") is None
    assert parse("   ") is None
    assert parse('"half') is not None


def test_the_dead_stay_a_while_and_are_few_under_one_parent() -> None:
    watch = demo_watch()
    outline = Outline()
    outline.update(watch.tick())
    for pid in (1003, 1011):
        watch.end(pid, exit=-9)
    outline.update(watch.tick())
    dead = {line.pid: line for line in outline.lines if line.tomb is not None}
    assert set(dead) == {1003, 1011}
    assert dead[1003].guide
    watch.now += 40
    outline.update(watch.tick())
    assert not [line for line in outline.lines if line.tomb is not None]


def test_a_loop_of_short_processes_leaves_three_tombs() -> None:
    extra = tuple(Fake(5000 + at, 1000, "sleep") for at in range(20))
    watch = demo_watch(fakes=DEMO + extra)
    watch.tick()
    for fake in extra:
        watch.end(fake.pid)
    outline = Outline()
    outline.update(watch.tick())
    assert len([line for line in outline.lines if line.tomb is not None]) == 3


def test_a_cycle_of_parents_is_shown_once_and_ends() -> None:
    fakes = (
        *DEMO,
        Fake(3001, 3002, "ouroboros"),
        Fake(3002, 3001, "ouroboros"),
    )
    assert sorted(shown(demo_watch(fakes=fakes), machine=True)) == sorted(f.pid for f in fakes)


def test_nothing_is_rebuilt_while_only_figures_change() -> None:
    watch = demo_watch()
    outline = Outline()
    outline.update(watch.tick())
    for _ in range(5):
        watch.change(1001, cpu=12.0)
        assert outline.update(watch.tick()) is False
    assert outline.builds == 1


def test_ten_thousand_processes_are_outlined_without_recursion() -> None:
    deep = tuple(Fake(100_000 + at, 99_999 + at, "deep") for at in range(1, 3000))
    watch = demo_watch(fakes=(*crowd(10_000), Fake(100_000, 1000, "deep"), *deep))
    pids = shown(watch, machine=True)
    assert len(pids) == len(DEMO) + 13_000


@pytest.mark.parametrize("width", [20, 38, 60, 79, 100, 123, 180, 300])
def test_every_line_is_exactly_as_wide_as_its_columns(width: int) -> None:
    fakes = (*DEMO, Fake(4000, 1000, "名前の長いプロセス" * 5, cmdline=("漢字", "🎉" * 40)))
    watch = demo_watch(fakes=fakes)
    view = watch.tick()
    outline = Outline()
    outline.update(view)
    columns = columns_for(width)
    total = sum(column.width + 1 for column in columns) - 1
    assert total <= width
    for line in outline.lines:
        runs = row(view, line, columns, [10.0, None, 90.0], Marks())
        assert sum(cell_len(text) for text, _style in runs) == total, line


def test_widths_depend_on_the_pane_alone() -> None:
    calm, busy = demo_watch(), demo_watch()
    busy.change(1001, cpu=1234.5, rss=1 << 44, threads=9999, age=9e8)
    columns = columns_for(123)
    texts = []
    for watch in (calm, busy):
        view = watch.tick()
        outline = Outline()
        outline.update(view)
        line = next(line for line in outline.lines if line.pid == 1001)
        texts.append("".join(text for text, _ in row(view, line, columns, (), Marks())))
    assert len(texts[0]) == len(texts[1])
    assert texts[0].index(" R ") == texts[1].index(" R ")


def test_unknown_figures_are_never_zero() -> None:
    watch = demo_watch()
    watch.change(1001, cpu=None, rss=None, threads=None)
    view = watch.tick()
    outline = Outline()
    outline.update(view)
    line = next(line for line in outline.lines if line.pid == 1001)
    text = "".join(text for text, _ in row(view, line, columns_for(123), (), Marks()))
    assert "–" in text and text.count("?") >= 2
    assert " 0.0 " not in text.replace("4.0s", "")


def test_every_role_has_a_glyph_of_its_own() -> None:
    glyphs = [glyph for glyph, _meaning in GLYPHS.values()]
    assert len(set(glyphs)) == len(glyphs)
    assert {role.value for role in Role} <= set(GLYPHS)


def test_likely_and_stray_look_different() -> None:
    view = demo_watch().tick()
    outline = Outline()
    outline.update(view)
    runs = {
        line.pid: row(view, line, columns_for(123), (), Marks())[0][0].strip()
        for line in outline.lines
    }
    assert runs[1000] == GLYPHS["spawned"][0]
    assert runs[1020] == GLYPHS["stray"][0]
    assert runs[710] == GLYPHS["ancestor"][0]
    fakes = [replace(f, certainty=Certainty.LIKELY) if f.pid == 1003 else f for f in DEMO]
    view = demo_watch(fakes=fakes).tick()
    line = next(line for line in outline.lines if line.pid == 1003)
    assert row(view, line, columns_for(123), (), Marks())[0][0].strip() == GLYPHS["likely"][0]


def test_a_hung_process_carries_a_mark_in_words() -> None:
    view = demo_watch().tick()
    outline = Outline()
    outline.update(view)
    line = next(line for line in outline.lines if line.pid == 1003)
    marks = Marks(hung={line.key: "deadlock-proven"})
    assert "hung" in "".join(text for text, _ in row(view, line, columns_for(123), (), marks))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (172_800, "2d"), (9e9, "999d"), (None, "?")],
)  # fmt: skip
def test_ages_are_short(seconds: float | None, text: str) -> None:
    assert age_text(seconds) == text
    assert len(text) <= 4


def test_endings_in_words() -> None:
    assert exit_text(0) == "exited 0"
    assert exit_text(-9) == "SIGKILL"
    assert exit_text(None) == "ended"
    assert status_text(3) == "exit 3"
    assert status_text(143) == "exit 143 SIGTERM"


def test_fit_cuts_by_cells() -> None:
    assert fit("abcdef", 4) == "abc…"
    assert fit("漢字漢字", 5) == "漢字…"
    assert fit("ab", 4) == "ab  "
    assert fit("ab", 4, right=True) == "  ab"
    assert fit("ab", 0) == ""


def test_a_container_is_told_where_it_is_not_proctuis_own() -> None:
    watch = demo_watch()
    watch.change(1003, container="docker:0123456789ab")
    view = watch.tick()
    outline = Outline()
    outline.change(query=parse("container:docker"))
    outline.update(view)
    line = next(line for line in outline.lines if not line.context)
    assert line.pid == 1003

    def command(marks: Marks) -> str:
        return row(view, line, columns_for(140), (), marks)[-1][0].strip()

    assert command(Marks()).startswith("docker:0123456789ab · ")
    assert "docker" not in command(Marks(home="docker:0123456789ab"))
