"""The page in a real browser: its numbers, sorting, filtering, runs, keyboard, a record that arrives."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dalib.records.archive import Archive
from dalib.records.store import Store
from dalib.report.layout import make_sheet
from dalib.report.page.server import open_server
from dalib.report.page.write import write_page
from dalib.report.statistics import compare, nemenyi_critical_difference
from dalib.report.table import build_table
from tests.report.test_page import HOSTILE
from tests.support.page_pictures import fill_store, make_pictures
from tests.support.report_shelf import FAILED, MISSING, Shelf

ROOT = Path(__file__).resolve().parents[2]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
ARCHIVE = ROOT / "results/records/demo.jsonl"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"], timeout=120_000)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    tab.set_default_timeout(60_000)
    errors: list[str] = []
    tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda e: errors.append(str(e)))
    tab.on("dialog", lambda d: errors.append("a name was run"))
    tab.errors = errors
    yield tab
    tab.close()
    assert errors == []


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page("demo", tmp_path_factory.mktemp("page"), records=ARCHIVE).as_uri()


def open_page(page: Any, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("body[data-drawn=yes]")


def texts(page: Any) -> list[list[str]]:
    found: list[list[str]] = page.eval_on_selector_all(
        "#results tbody tr", "rows => rows.map(r => [...r.children].map(c => c.textContent))"
    )
    return found


def test_the_table_is_that_of_dalib_table_for_every_selection_and_metric(page: Any, demo: str) -> None:
    open_page(page, demo)
    for rule, metric in (("last", "target_accuracy"), ("oracle", "target_macro_f1"), ("ami", "source_accuracy")):
        page.select_option("#picks label:has-text('Metric') select", metric)
        page.select_option("#picks label:has-text('Selection') select", rule)
        sheet = make_sheet(build_table(Archive(ARCHIVE), "demo", rule, metric))
        wanted = [[cell.text for cell in row] for block in sheet.blocks for row in block.rows]
        assert texts(page) == wanted
        bold = page.eval_on_selector_all("#results td.best", "cells => cells.map(c => c.textContent)")
        assert bold == [cell.text for block in sheet.blocks for row in block.rows for cell in row if cell.bold]


def test_intervals_and_critical_differences_are_pythons(page: Any, demo: str) -> None:
    open_page(page, demo)
    table = build_table(Archive(ARCHIVE), "demo")
    scores = {row.label: row.scores for row in table.rows}
    wanted = compare(scores, "source_only", reps=100)
    rows = page.evaluate("tabulate(DATA, 'target_accuracy', 'last', [0,1,2,3,4,5])")
    for row in rows:
        if row["label"] in wanted:
            ours, theirs = (*row["interval"], row["rank"]), wanted[row["label"]]
            assert ours == pytest.approx((*theirs.interval, theirs.rank), abs=1e-8)
            if row["label"] != "source_only":
                assert row["over"] == pytest.approx(tuple(theirs.difference_interval), abs=1e-8)
    assert page.evaluate("DATA.q[14] / Math.sqrt(6)") == pytest.approx(nemenyi_critical_difference(14, 6), abs=1e-6)
    for df, t in ((1, 12.7062047), (2.5, 3.5746664), (30, 2.0422725)):
        from scipy.special import stdtrit

        assert page.evaluate(f"studentT({df})") == pytest.approx(float(stdtrit(df, 0.975)), rel=1e-8)
        assert t > 0


def test_sorting_filtering_and_tasks(page: Any, demo: str) -> None:
    open_page(page, demo)
    page.click("#results thead button:has-text('Average')")
    means = [float(row[7].split()[0].rstrip("*")) for row in texts(page)]
    assert means == sorted(means, reverse=True)
    page.click("#results thead button:has-text('Average')")
    means = [float(row[7].split()[0].rstrip("*")) for row in texts(page)]
    assert means == sorted(means)
    assert page.get_attribute("#results thead th[aria-sort=ascending]", "scope") == "col"
    page.keyboard.press("/")
    page.keyboard.type("ot_map")
    assert {row[0] for row in texts(page)} == {"ot_map_emd", "ot_map_sinkhorn", "ot_map_class", "ot_map_linear"}
    page.click("details.tasks summary")
    page.click("details.tasks button:has-text('First only')")
    assert page.eval_on_selector_all("#results thead th", "h => h.map(x => x.textContent.trim())")[1:3] == [
        "A→D",
        "Average ▲",
    ]


def test_a_number_opens_its_runs_by_keyboard_and_its_address_too(page: Any, demo: str) -> None:
    open_page(page, demo)
    page.focus("#results tbody tr:nth-child(2) td:nth-child(3) button")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    told = page.inner_text("dialog")
    assert "fine_tune, amazon->webcam" in told and "--algorithm fine_tune" in told and "--seed 0" in told
    assert page.eval_on_selector_all("dialog > details", "d => d.length") == 3
    address = page.url
    page.keyboard.press("Escape")
    page.wait_for_function("!location.hash.includes('run')")
    page.goto("about:blank")
    open_page(page, address)
    assert page.is_visible("dialog[open]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_telephone_nothing_is_wider_than_the_screen_and_text_has_contrast(
    browser: Any, demo: str, scheme: str
) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    tab.set_default_timeout(60_000)
    open_page(tab, demo)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    plots = tab.eval_on_selector_all(
        "#summary .two svg, #training svg", "x => x.map(p => p.getBoundingClientRect().right)"
    )
    assert plots and max(plots) <= 390, "what is plotted is in sight without scrolling"
    light = """part => (getComputedStyle(document.querySelector(part[0]))[part[1]].match(/[0-9.]+/g).slice(0, 3)
      .map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0))"""
    paper, hovered = (
        tab.evaluate(light, ["body", "backgroundColor"]),
        tab.evaluate(light, ["thead th", "backgroundColor"]),
    )
    for name in ("body", ".note", "nav a", "#sub", ".worse"):
        ink = tab.evaluate(light, [name, "color"])
        for below in (paper, hovered):
            assert (max(ink, below) + 0.05) / (min(ink, below) + 0.05) >= 4.5, name
    for name in ("#filter", "#picks select", "#picks button", "details.tasks summary"):
        edge = tab.evaluate(light, [name, "borderTopColor"])
        assert (max(edge, paper) + 0.05) / (min(edge, paper) + 0.05) >= 3, f"where {name} ends can be seen"
    tab.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_names_beside_dots_cover_neither_each_other_nor_dots(browser: Any, demo: str, width: int) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 800})
    tab.set_default_timeout(60_000)
    open_page(tab, demo)
    boxes = tab.evaluate("""[...document.querySelectorAll('#cost text.name, #cost circle')].map(part => {
      const box = part.getBBox(); return [part.textContent, box.x, box.y, box.x + box.width, box.y + box.height]; })""")
    names, dots = [b for b in boxes if b[0]], [b for b in boxes if not b[0]]
    assert len(dots) == 15 and len(names) >= 12
    for i, (name, left, top, right, bottom) in enumerate(names):
        for other, x0, y0, x1, y1 in (*names[i + 1 :], *dots):
            assert not (left < x1 - 1 and x0 < right - 1 and top + 2 < y1 - 2 and y0 + 2 < bottom - 2), (name, other)
    assert {"0.1", "1"} <= set(tab.eval_on_selector_all("#cost text.tick", "x => x.map(t => t.textContent)"))
    tab.close()


def test_every_control_is_reached_by_the_tab_key(page: Any, demo: str) -> None:
    open_page(page, demo)
    controls = (
        "[...document.querySelectorAll('a[href], button, input, select, summary')].filter(e => e.checkVisibility())"
    )
    page.evaluate("() => { window.seen = new Set(); document.addEventListener('focusin', e => seen.add(e.target)); }")
    for _ in range(page.evaluate(f"{controls}.length")):
        page.keyboard.press("Tab")
    missed = page.evaluate(f"{controls}.filter(e => !seen.has(e)).map(e => e.outerHTML)")
    assert missed == []


def test_warnings_that_differ_in_numbers_only_are_one_line(page: Any, demo: str) -> None:
    open_page(page, demo)
    lines = page.eval_on_selector_all("#troubles summary", "x => x.map(s => s.textContent)")
    assert "source accuracy falls from …% to …% while adaptation runs in 5 runs" in lines
    page.click("#troubles summary:has-text('falls')")
    told = page.inner_text("#troubles details[open]")
    assert "source accuracy falls from 58.1% to 51.6% while adaptation runs: target_labels, amazon->dslr" in told


def test_hostile_names_failures_and_gaps_are_shown(page: Any, shelf: Shelf, tmp_path: Path) -> None:
    shelf.put(HOSTILE, "amazon->webcam", [0.5, MISSING]).put(HOSTILE, "webcam->amazon", [FAILED, FAILED])
    open_page(page, write_page("toy", tmp_path, records=shelf).as_uri())
    wanted = [[c.text for c in row] for b in make_sheet(build_table(shelf, "toy")).blocks for row in b.rows]
    ours = texts(page)
    spelt = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b")
    assert ours == [[spelt if c == HOSTILE else c for c in row] for row in wanted]
    assert "loss term 'mmd' became nan" in page.inner_text("#troubles")
    page.click(f"#results tbody tr:nth-child({len(shelf.toy.labels) - 1}) th button")
    assert "no record yet" in page.inner_text("dialog")


def test_a_name_without_end_widens_nothing_but_the_table_in_its_frame(page: Any, shelf: Shelf, tmp_path: Path) -> None:
    shelf.put("x" * 300, "amazon->webcam", [0.5, 0.6]).put("x" * 300, "webcam->amazon", [FAILED, 0.5])
    open_page(page, write_page("toy", tmp_path, records=shelf).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200
    page.evaluate("openRuns(DATA.rows.length - 1, null)")
    assert page.evaluate("document.getElementById('runs').scrollWidth") <= 1200
    assert page.evaluate("document.querySelector('#runs .bar-top button').offsetHeight") < 45, "Close stays one line"


def test_a_record_that_arrives_is_shown_while_the_page_is_open(page: Any, shelf: Shelf, tmp_path: Path) -> None:
    store, late = Store(tmp_path), list(shelf.records.values())[-1]
    store.write_manifest(shelf.toy)
    for record in list(shelf.records.values())[:-1]:
        store.put(record)
    server = open_server("toy", store=tmp_path, port=0)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        open_page(page, server.url)
        page.fill("#filter", "target")
        assert texts(page)[0][2] == "95.0 (1/2)"
        store.put(late)
        page.wait_for_selector("#results tbody td:has-text('95.0 ± 0.0') >> nth=1")
        assert [row[0] for row in texts(page)] == ["target_labels"], "what was picked stays picked"
    finally:
        server.shutdown()
        server.server_close()


def test_pictures_that_a_row_fixed_are_shown_with_what_both_call_them(page: Any, tmp_path: Path) -> None:
    root = make_pictures(tmp_path / "data")
    fill_store(Store(tmp_path / "runs"), root)
    open_page(page, write_page("toy", tmp_path / "out", store=tmp_path / "runs", data_root=root).as_uri())
    page.evaluate("document.querySelectorAll('#pictures img').forEach(i => { i.loading = 'eager'; })")
    page.wait_for_function("[...document.querySelectorAll('#pictures img')].every(i => i.complete)")
    shots = page.eval_on_selector_all("#pictures li", "x => x.map(i => [i.innerText, i.firstChild.naturalWidth])")
    assert len(shots) == 11 and all(width == 40 for _, width in shots)
    assert shots[0][0].split("\n") == ["cat <b>", "source_only: dog\u00a0✗", "better: cat <b>\u00a0✓"]
    heads = page.eval_on_selector_all("#pictures h3", "x => x.map(h => h.textContent)")
    assert heads == [
        f"{kind} {n} of 24 test pictures" for kind, n in (("Fixed", 6), ("Broken", 2), ("Wrong by both", 3))
    ]
