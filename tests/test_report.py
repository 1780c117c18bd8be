"""What a report must hold: everything said, nothing executed, nothing fetched, words before colour."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from alliance.report import chart, words
from alliance.report.html import page
from alliance.report.terminal import NARROWEST, to_ascii, triage, wrap
from alliance.report.view import CaseView, FlagView, SeriesView, StudyView

GOLDEN = Path(__file__).parent / "golden" / "triage.txt"
HOSTILE = "<script>alert(1)</script>[red]&\"'"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def series(sessions=(1, 2, 3), values=(4.0, 4.0, 2.0), **changes):
    given_values = {"label": "client", "rater": "client", "low": 1, "high": 5, "measure": "demo total"}
    return SeriesView(sessions=tuple(sessions), values=tuple(values), **{**given_values, **changes})


def case(name="C01", level="NO_FLAG", **changes):
    given_values = {
        "session": 3,
        "points": {"REVIEW": 2, "WATCH": 1}.get(level, 0),
        "reasons": (),
        "prompts": (),
        "not_evaluable": (),
        "basis": "",
        "last_rating": 2.0,
        "n_ratings": 3,
        "rating_age": 0,
        "rupture": "none",
    }
    return CaseView(case=name, level=level, **{**given_values, **changes})


def study(*cases, **changes):
    counts = {name: sum(c.level == name for c in cases) for name in words.LEVELS}
    given_values = {
        "source": "clinic.csv",
        "forms": "demo-client",
        "synthetic": False,
        "n_cases": len(cases),
        "n_forms": 3 * len(cases),
        "counts": counts,
        "prevalence": "Ruptures in 1 of 4 cases (25 %); pure noise would give 0.4 (10 %).",
        "methods": ("predictive-limit, online",),
        "notes": ("The key of demo-client is provisional.",),
    }
    return StudyView(cases=cases, **{**given_values, **changes})


def example():
    """A study with one case of every level, and everything a case can carry."""
    first = case(
        "C07",
        "REVIEW",
        points=3,
        reasons=(
            "+2 RELIABLE_DROP: rating fell more than measurement error can explain (4.33, 4.17 → 2.92)",
            "+1 STEADY_DECLINE: three ratings in a row went down",
        ),
        prompts=("Lowest area: goals.",),
        rupture="rupture at session 3, repaired at session 4",
        last_rating=2.9166,
        flags=(
            FlagView(session=3, rater="client", method="predictive-limit", finding="rupture", reason="Low."),
        ),
        series=(
            series(
                (1, 2, 3, 4),
                (4.33, 4.17, 2.92, 4.0),
                limits=(None, None, 3.3, 3.1),
                ruptures=(3,),
                repairs=(4,),
            ),
            series((1, 2, 4), (4.0, None, 4.5), label="therapist", rater="therapist"),
        ),
        missed_before=(3,),
    )
    return study(
        first,
        case("C02", "WATCH", reasons=("+1 NO_SHOW_RECENT: a missed appointment",), rating_age=2),
        case(
            "C30",
            "INSUFFICIENT_DATA",
            session=None,
            last_rating=None,
            n_ratings=0,
            rating_age=None,
            rupture="not enough data: 0 of 3",
            not_evaluable=("LOW_LEVEL: no cut-off", "RELIABLE_DROP: no rating"),
        ),
        case("C31", series=(series(),)),
        synthetic=True,
        n_hidden=2,
    )


# the terminal


def test_the_triage_list_reads_as_the_golden_file():
    assert triage(example()) == GOLDEN.read_text(encoding="utf-8")


def test_a_view_without_footer_still_says_what_a_level_is_not():
    assert "NO FLAG does not mean low risk." in triage(study(case()))
    assert triage(study(case(), footer=("Only this.",))).endswith("Only this.\n")


def test_every_case_and_every_reason_is_printed():
    text = " ".join(triage(example()).split())
    for each in example().cases:
        assert f"case {each.case}," in text
        for said in (*each.reasons, *each.prompts, *each.not_evaluable):
            assert said in text


def test_the_level_is_a_word_with_a_mark_at_the_start_of_a_line():
    lines = triage(example()).splitlines()
    for start in ("!! REVIEW  ", "! WATCH  ", "? INSUFFICIENT DATA  ", "- NO FLAG  "):
        assert sum(line.startswith(start) for line in lines) == 1


def test_a_case_that_could_not_be_judged_has_no_points_rather_than_zero():
    text = triage(study(case("C1", "INSUFFICIENT_DATA")))
    assert "no points" in text
    assert "0 points" not in text


@pytest.mark.parametrize("limit", [0, 1, 3, 5])
def test_a_case_to_review_is_listed_beyond_any_limit_and_the_others_are_counted(limit):
    levels = ["REVIEW"] * 3 + ["WATCH", "NO_FLAG"]
    text = triage(study(*(case(f"C{i}", level) for i, level in enumerate(levels))), limit=limit)
    assert text.count("!! REVIEW  ") == 3
    hidden = 5 - max(limit, 3)
    said = f"{words.count(hidden, 'more case')} not listed: 1 WATCH, 1 NO FLAG."
    assert (said in text) == (hidden == 2)
    assert ("not listed" in text) == (hidden > 0)


def test_the_order_of_the_cases_is_kept_when_some_are_only_counted():
    text = triage(study(case("A", "NO_FLAG"), case("B", "REVIEW"), case("C", "NO_FLAG")), limit=2)
    assert re.findall(r"case (\w),", text) == ["A", "B"]


def test_cases_left_out_of_the_view_are_counted():
    assert "2 further cases in the study, outside this list." in triage(study(case(), n_hidden=2))


def test_colour_adds_codes_around_the_level_and_changes_no_word():
    plain, coloured = triage(example()), triage(example(), colour=True)
    assert "\x1b[" not in plain
    assert coloured.count("\x1b[0m") == 4
    assert Text.from_ansi(coloured).plain.rstrip() == plain.rstrip()


def test_the_rater_of_a_rupture_has_no_control_characters():
    flag = FlagView(session=3, rater="a\x1b[2J", method="m", finding="rupture", reason="Low.")
    text = triage(study(case(flags=(flag,))))
    assert "- session 3, a[2J: Low." in text
    assert "\x1b" not in text


def test_text_from_data_is_literal_and_has_no_control_characters():
    hostile = "[bold]C1[/] \x1b[2J\x07\u202e:smile:\x00"
    text = triage(study(case(hostile, "REVIEW", reasons=(hostile,))), colour=True)
    assert "case [bold]C1[/] [2J:smile:," in text
    assert "\x1b[2J" not in text
    assert not set(text) & {"\x00", "\x07", "\u202e"}


def test_without_unicode_every_character_is_ascii():
    view = study(case("Zoë", "REVIEW", reasons=("4.2 → 2.9 ≤ 3.1 \N{MINUS SIGN} noise ☂",)))
    text = triage(view, unicode=False)
    assert "Zo\\xeb" in text
    assert "4.2 -> 2.9 <= 3.1 - noise \\u2602" in text
    assert text.encode("ascii").decode("cp1252") == text


texts = st.text(max_size=120)


@settings(max_examples=150, deadline=None)
@given(texts, texts, texts, st.integers(1, 120), st.booleans())
def test_no_line_is_wider_than_asked(name, reason, source, width, unicode):
    view = study(case(name, "REVIEW", reasons=(reason,), rupture=reason, basis=name), source=source)
    for line in triage(view, width=width, unicode=unicode).splitlines():
        assert cell_len(line) <= max(width, NARROWEST)


@given(st.text(alphabet="ab é漢\u0301", max_size=60), st.integers(8, 30))
def test_wrapping_loses_no_character(text, width):
    lines = wrap(text, "- ", "  ", width)
    assert "".join(line[2:] for line in lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("", ["-"], id="nothing to say"),
        pytest.param("one two", ["- one two"], id="just fits"),
        pytest.param("one three", ["- one", "  three"], id="one cell too long"),
        pytest.param("abcdefghij", ["- abcdefg", "  hij"], id="a word longer than the line"),
        pytest.param("漢字漢字漢", ["- 漢字漢", "  字漢"], id="wide characters take two cells"),
    ],
)
def test_wrap_follows_the_truth_table(text, lines):
    assert wrap(text, "- ", "  ", 9) == lines


def test_to_ascii_leaves_ascii_alone():
    assert to_ascii("a-b (4.2)") == "a-b (4.2)"


# words


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (34, "34.0"), (3.8333, "3.83"), (3.999, "4.0"), (-0.0, "0.0")],
)
def test_a_number_has_one_or_two_decimals(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("none", "Rupture: none."),
        ("rupture at session 7", "Rupture at session 7."),
        ("not enough data: 2 of 3.", "Rupture: not enough data: 2 of 3."),
        ("", "Rupture: not evaluated."),
    ],
)
def test_the_rupture_sentence_names_its_subject_once(said, shown):
    assert words.rupture(case(rupture=said)) == shown


def test_the_age_of_the_last_rating_is_told_when_it_is_not_of_today():
    assert words.basis(case(rating_age=0)) == "last rating 2.0 (3 ratings)"
    assert words.basis(case(rating_age=1)) == "last rating 2.0 (3 ratings, latest 1 session old)"
    assert words.basis(case(last_rating=None)) == "no rating"


# the geometry of a chart


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        pytest.param(1, 5, (1, 2, 3, 4, 5), id="five answer points"),
        pytest.param(1, 7, (1, 2, 3, 4, 5, 6, 7), id="seven answer points"),
        pytest.param(0, 40, (0, 10, 20, 30, 40), id="a sum"),
        pytest.param(12, 84, (12, 40, 60, 84), id="a sum whose ends are not round"),
        pytest.param(3, 3, (3,), id="no range"),
    ],
)
def test_score_ticks_show_both_ends(low, high, ticks):
    assert chart.score_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("first", "last", "ticks"),
    [
        pytest.param(1, 1, (1,), id="one session"),
        pytest.param(1, 12, tuple(range(1, 13)), id="twelve fit"),
        pytest.param(1, 13, (2, 4, 6, 8, 10, 12), id="thirteen do not"),
        pytest.param(0, 2, (0, 1, 2), id="from intake"),
    ],
)
def test_session_ticks_are_whole_sessions(first, last, ticks):
    assert chart.session_ticks(first, last) == ticks


@pytest.mark.parametrize(
    ("points", "path"),
    [
        pytest.param([], "", id="none"),
        pytest.param([(1, 1)], "", id="one point has no line"),
        pytest.param([(1, 1), (2, 2.04)], "M1 1L2 2", id="two points, rounded down"),
        pytest.param([(1, 1), (2, 2.06)], "M1 1L2 2.1", id="two points, rounded up"),
        pytest.param([(1, 1), None, (3, 3)], "", id="a gap is not bridged"),
        pytest.param([(1, 1), (2, 2), None, (3, 3), (4, 4)], "M1 1L2 2M3 3L4 4", id="two stretches"),
    ],
)
def test_a_line_breaks_where_there_is_no_score(points, path):
    assert chart.line_path(points) == path


def test_the_plane_puts_the_lowest_score_at_the_bottom_and_keeps_half_a_session_free():
    # Two sessions share 368 units: their middles lie at a quarter and three quarters.
    plane = chart.Plane(first=1, last=2, low=1, high=5)
    assert (plane.x(1), plane.x(2)) == (154, 338)
    assert (plane.y(1), plane.y(5), plane.y(3)) == (200, 68, 134)


def test_the_paths_of_a_course_are_as_drawn_by_hand():
    course = series((1, 2), (5, 1), limits=(None, 3), ruptures=(2,), repairs=(1,))
    (drawn,) = chart.charts(case(series=(course,), missed_before=(2,)))
    (line,) = drawn.lines
    assert (line.path, line.dots, line.limit) == ("M154 68L338 200", "M154 68h0M338 200h0", "M326 134H350")
    assert [(m.kind, m.x, m.path) for m in drawn.marks] == [
        ("rupture", "338", "M333 9H343L338 19Z"),
        ("repair", "154", "M149 38H159L154 28Z"),
        ("missed", "246", "M241.5 47.5L250.5 56.5M241.5 56.5L250.5 47.5"),
    ]


def test_sessions_without_a_form_break_the_line():
    (drawn,) = chart.charts(case(series=(series((1, 3), (4, 4)),)))
    assert drawn.lines[0].path == ""
    assert drawn.lines[0].dots.count("h0") == 2


def test_a_limit_below_the_lowest_score_is_in_the_table_but_not_drawn():
    (drawn,) = chart.charts(case(series=(series((1, 2), (4, 4), limits=(0.5, 1.0)),)))
    assert drawn.lines[0].limit.count("M") == 1
    assert [row[2] for row in drawn.table.rows] == ["0.5", "1.0"]


def test_measures_have_their_own_chart_and_raters_share_one():
    group = (series(), series(label="therapist"), series(label="outcome", measure="ORS", low=0, high=40))
    drawn = chart.charts(case(series=group))
    assert [[line.label for line in each.lines] for each in drawn] == [["client", "therapist"], ["outcome"]]
    assert [line.style for line in drawn[0].lines] == [0, 1]


def test_raters_who_agree_on_a_rupture_share_its_mark():
    pair = (series(ruptures=(3,)), series(label="therapist", ruptures=(3,)))
    (drawn,) = chart.charts(case(series=pair))
    assert [mark.words for mark in drawn.marks] == ["rupture at session 3 (client, therapist)"]


def test_two_appointments_missed_before_one_session_are_counted_on_one_mark():
    (drawn,) = chart.charts(case(series=(series(),), missed_before=(4, 4)))
    assert [mark.words for mark in drawn.marks] == ["2 missed appointments before session 4"]
    assert float(drawn.marks[0].x) <= chart.RIGHT


def test_the_table_behind_a_chart_tells_three_kinds_of_absence_apart():
    (drawn,) = chart.charts(example().cases[0])
    assert drawn.table.head == ("Session", "client", "client, limit", "therapist", "Events")
    assert drawn.table.rows == (
        ("1", "4.33", "no limit", "4.0", "none"),
        ("2", "4.17", "no limit", "not scored", "none"),
        ("3", "2.92", "3.3", "no form", "rupture at session 3 (client); missed appointment before session 3"),
        ("4", "4.0", "3.1", "4.5", "repair at session 4 (client)"),
    )


def test_the_description_says_where_a_course_starts_and_ends():
    (drawn,) = chart.charts(case(series=(series(), series(values=(None, None, None), label="therapist"))))
    assert drawn.description == (
        "client: 4.0 at session 1, 2.0 at session 3, 3 scored forms. therapist: no scored form. "
        "Marked: no rupture, repair or missed appointment."
    )


# the page


class Outline(HTMLParser):
    """The elements of a page: those left open, headings, links, ids, and text by element."""

    void = frozenset({"meta", "link", "br", "hr", "img", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.headings, self.links, self.ids, self.text = [], [], [], [], [], []
        self.names = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.names += [found[key] for key in ("aria-labelledby",) if key in found]
        self.headings += [int(tag[1])] if re.fullmatch(r"h[1-6]", tag) else []
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_parses_and_closes_what_it_opens():
    assert Outline(page(example())).open == []


def test_the_page_refers_to_nothing_outside_itself():
    text = page(example())
    assert not re.search(
        r"https?:|//|url\(|@import|<(script|img|iframe|object|embed|link|base|form)\b| on\w+=", text
    )
    assert "default-src 'none'; style-src 'unsafe-inline'" in text


def test_every_link_and_every_label_has_its_target_and_no_id_comes_twice():
    outline = Outline(page(example()))
    assert len(outline.ids) == len(set(outline.ids))
    named = {name for names in outline.names for name in names.split()}
    assert {link.removeprefix("#") for link in outline.links} | named <= set(outline.ids)


def test_headings_start_at_one_and_never_skip_a_level():
    headings = Outline(page(example())).headings
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))


def test_each_chart_has_a_title_a_description_and_a_table():
    text = page(example())
    n_charts = text.count('role="img"')
    assert n_charts == 2
    for part in ("<title id=", "<desc id=", "<details>", 'class="scroll"'):
        assert text.count(part) == n_charts


def test_everything_a_view_says_is_on_the_page():
    view = example()
    shown = " ".join("".join(Outline(page(view)).text).split())
    said = [view.source, view.prevalence, *view.notes, *view.methods, *words.FOOTER]
    for each in view.cases:
        said += [f"Case {each.case}", words.rupture(each), *each.reasons, *each.prompts, *each.not_evaluable]
    assert [text for text in said if text not in shown] == []
    assert "2 further cases of the study not in this report" in shown


def test_text_from_data_is_shown_and_never_executed():
    flag = FlagView(session=1, rater=HOSTILE, method=HOSTILE, finding=HOSTILE, reason=HOSTILE)
    everywhere = case(
        HOSTILE,
        "REVIEW",
        reasons=(HOSTILE,),
        prompts=(HOSTILE,),
        not_evaluable=(HOSTILE,),
        basis=HOSTILE,
        rupture=HOSTILE,
        flags=(flag,),
        series=(series(label=HOSTILE, measure=HOSTILE, ruptures=(1,)),),
    )
    text = page(study(everywhere, source=HOSTILE, forms=HOSTILE, notes=(HOSTILE,), methods=(HOSTILE,)))
    outline = Outline(text)
    assert "script" not in outline.tags
    assert "".join(outline.text).count(HOSTILE) >= 15


def test_control_characters_do_not_reach_the_page():
    text = page(study(case("C1\x00\x1b\u202e")))
    assert "Case C1</h3>" in text


def test_a_study_without_cases_is_a_page_too():
    assert Outline(page(study())).open == []


def test_equal_views_give_equal_bytes():
    assert page(example()) == page(example())
    assert page(replace(example(), source="other.csv")) != page(example())


def colours(text, start):
    """The custom colours defined in the first block after `start`."""
    block = text[text.index(start) :]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block[: block.index("}")]))


def luminance(colour):
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("start", [":root", "prefers-color-scheme: dark"])
def test_every_text_and_every_mark_stands_out_from_its_ground(start):
    found = colours(page(study()), start)
    grounds = [
        (ink, "page") for ink in ("ink", "soft", "link", "client", "other", "rupture", "repair", "missed")
    ]
    grounds += [("ink", "panel")]
    grounds += [(f"{name}-ink", f"{name}-back") for name in ("review", "watch", "unknown", "quiet")]
    faint = [pair for pair in grounds if contrast(found[pair[0]], found[pair[1]]) < 4.5]
    assert faint == []


# the page in a browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def browse(text, folder):
    """What Chromium makes of a page, and the addresses the page asked for; no name resolves."""
    assert CHROMIUM is not None
    folder.mkdir()
    file, log = folder / "page.html", folder / "net.json"
    file.write_text(text, encoding="utf-8")
    no_names = "--host-resolver-rules=MAP * ~NOTFOUND"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'user'}", no_names, f"--log-net-log={log}"]
    done = subprocess.run(
        [*command, "--dump-dom", file.as_uri()], capture_output=True, check=True, timeout=120
    )
    return done.stdout.decode(), asked_for(log)


def asked_for(log):
    """The web addresses a network log names, without those the browser asks for on its own account."""
    events = json.loads(log.read_text(encoding="utf-8", errors="replace"))["events"]
    started = [event["params"] for event in events if "initiator" in event.get("params", {})]
    return {each["url"] for each in started if each["initiator"] != "not an origin"}


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: install the package chromium")
def test_a_browser_shows_the_page_and_the_page_asks_for_nothing(tmp_path):
    text = page(example())
    shown, asked = browse(text, tmp_path / "report")
    assert Outline(shown).tags.count("svg") == Outline(text).tags.count("svg")
    assert Outline(shown).ids == Outline(text).ids
    assert asked == set()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: install the package chromium")
def test_the_policy_of_the_page_stops_what_an_injection_would_fetch(tmp_path):
    image, script = '<img src="http://leak.invalid/x.png">', "<script>document.body.id = 'ran'</script>"
    injected = page(study(case())).replace("<header>", f"<header>{image}{script}")
    shown, asked = browse(injected, tmp_path / "guarded")
    assert 'id="ran"' not in shown
    assert asked == set()
    shown, asked = browse(injected.replace("Content-Security-Policy", "x-nothing"), tmp_path / "open")
    assert 'id="ran"' in shown
    assert asked == {"http://leak.invalid/x.png"}


# what is folded, and what was seen


def test_a_case_to_review_is_never_folded_and_the_others_are_counted():
    view = study(case("A", "NO_FLAG"), case("B", "REVIEW"), case("C", "WATCH"), case("D", "REVIEW"))
    before, folded = page(view).split('<details class="more">')
    folded, after = folded.split("</details>", 1)
    listed = before[before.index('id="list"') :]
    assert re.findall(r'<a href="#case-(\d)">(\w)</a>', listed) == [("2", "B"), ("4", "D")]
    assert re.findall(r'<a href="#case-(\d)">(\w)</a>', folded) == [("1", "A"), ("3", "C")]
    assert "<summary>2 more cases: 1 WATCH, 1 NO FLAG</summary>" in folded
    assert re.findall(r'<h3 id="case-(\d)">', after) == ["1", "2", "3", "4"]


def test_where_nothing_is_to_review_the_list_says_so_and_is_open():
    text = page(study(case("A", "WATCH")))
    assert "No case to REVIEW." in text
    assert '<details class="more" open>' in text
    assert '<details class="more"' not in page(study(case("A", "REVIEW")))


def test_what_was_seen_stands_beside_the_verdict_in_every_report():
    told = "seen on 2026-03-02: <b>spoke</b>"
    view = study(case("A", "REVIEW", seen=told, reasons=("+2 VERY_LOW: low",)), case("B", "REVIEW"))
    assert triage(view).count(f"\n   {told}\n") == 1
    text = page(view)
    assert text.count("<p>seen on 2026-03-02: &lt;b&gt;spoke&lt;/b&gt;</p>") == 2
    assert "seen on" not in page(study(case("B", "REVIEW")))
