"""The local page in a real browser, as a person uses it: typed into, dragged, by keys, on a phone, in the dark.

Needs playwright and a Chromium (``make browser`` installs the first).  With CHAINRULE_SCREENSHOTS=DIR the pictures of the
page are kept there, for somebody to look at.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("sympy")
sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium")

expect = sync_api.expect
PHONE, DESK = (360, 740), (1280, 900)
HOSTILE = [
    "<script>pwned=1</script>", "<img src=x onerror=pwned=1>", "<svg onload=pwned=1>", "\"><script>pwned=1</script>",
    "'-pwned=1-'", "</title><script>pwned=1</script>", "javascript:pwned=1", "<a href=javascript:pwned=1>x</a>",
    "<math><mtext><img src=x onerror=pwned=1></math>", "x<!--", "]]><script>pwned=1</script>", "{{constructor}}",
    "${pwned=1}", "<iframe srcdoc='<script>parent.pwned=1</script>'>", "<style>*{display:none}</style>",
    "<base href=//evil.example>", "<form action=//evil.example><button>", "&lt;script&gt;pwned=1", "\\u003cscript>",
    "%3Cscript%3Epwned=1%3C/script%3E", "<details open ontoggle=pwned=1>", "<input autofocus onfocus=pwned=1>",
    "<body onload=pwned=1>", "<object data=javascript:pwned=1>", "<embed src=javascript:pwned=1>", "<link rel=import href=x>",
    "<meta http-equiv=refresh content=0;url=//evil.example>", "<template><script>pwned=1</script>", "x\n<script>pwned=1",
    "<noscript><p title=\"</noscript><img src=x onerror=pwned=1>\">",
]  # fmt: skip


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    line = [sys.executable, "-m", "chainrule", "serve", "--port", "0", "--no-browser", "--lang", "en"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stdout is not None
    yield re.search(r"http://\S+", process.stdout.readline())[0]  # type: ignore[index]
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the page at a question; afterwards there must have been no error and no request to elsewhere."""
    wrong: list[str] = []
    contexts = []

    def opening(
        formula: str | None = None, size: tuple[int, int] = DESK, scheme: str = "light", lang: str = "", **at: str
    ) -> Any:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=size == PHONE
        )
        context.set_default_timeout(60_000)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
        page.on(
            "request", lambda request: None if request.url.startswith((address, "data:")) else wrong.append(request.url)
        )
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        parts = [("formula", formula)] if formula is not None else []
        parts += [("at", f"{k}={v}") for k, v in at.items()] + ([("lang", lang)] if lang else [])
        page.goto(f"{address}#{urlencode(parts)}")
        settled(page)
        return page

    yield opening
    for context in contexts:
        context.close()
    assert wrong == []


def settled(page: Any) -> None:
    page.locator("body:not(.busy) main[aria-busy=false]").wait_for(state="attached")


def derivative(page: Any, by: str = "x") -> Any:
    """Where the page says what a derivative is."""
    return page.locator("#mathematics .number", has_text=f"dy/d{by} =").locator("b")


def test_type_a_function_and_read_its_derivative(opened: Callable[..., Any]) -> None:
    page = opened()
    page.get_by_role("textbox", name="Function").fill("5*x**4 + 3*x**3 + 7*x**2 + 9*x - 5")
    page.get_by_label("x =").fill("2")
    expect(derivative(page)).to_have_text("233")
    expect(page.locator("#mathematics math")).to_have_count(2)
    expect(page.locator("#proofs .verdict")).to_have_text("agree")
    values = page.locator("#proofs tbody td.n:not(.off)")
    assert [float(t) for t in values.all_inner_texts()] == pytest.approx([233] * 4)
    expect(page.locator("#steps tbody tr:not(.says)").first).to_contain_text("y = ")
    expect(page.locator("#graph svg")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("dy/dx = 233")


def test_drag_the_point_and_move_it_by_keys(opened: Callable[..., Any]) -> None:
    page = opened("x**2", x="1")
    handle = page.get_by_role("slider")
    box = handle.locator("circle").last.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for k in range(1, 11):
        page.mouse.move(box["x"] + box["width"] / 2 + 6 * k, box["y"], steps=2)
    page.mouse.up()
    expect(page.get_by_label("x =")).not_to_have_value("1")
    x = float(page.get_by_label("x =").input_value())
    assert x > 1.3
    expect(derivative(page)).to_have_text(f"{2 * x:.12g}")
    assert float(handle.get_attribute("aria-valuenow")) == x
    handle.focus()
    page.keyboard.press("ArrowLeft")
    expect(derivative(page)).not_to_have_text(f"{2 * x:.12g}")
    smaller = float(page.get_by_label("x =").input_value())
    assert smaller < x
    page.keyboard.press("Home")
    expect(page.get_by_label("x =")).to_have_value("-2")
    expect(derivative(page)).to_have_text("-4")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider", "the focus stays"
    expect(handle).to_have_attribute("aria-valuetext", re.compile(r"x = -2, y = 4, slope -4"))


def test_extrema_are_told_in_words(opened: Callable[..., Any]) -> None:
    page = opened("x**3 - 3*x", x="0.5")
    expect(page.locator("#marks")).to_have_text("maximum at x = -1, minimum at x = 1, inflection at x = 0")
    page.get_by_label("x =").fill("sqrt(2)")
    expect(derivative(page)).to_have_text("3")
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#marks")).to_have_text("minimum at x = 1, inflection at x = 0")


def test_a_map_of_two_variables(opened: Callable[..., Any]) -> None:
    page = opened("u**3 + v**2 + 4*u*v", u="3", v="4")
    expect(derivative(page, "u")).to_have_text("43")
    expect(derivative(page, "v")).to_have_text("20")
    page.get_by_role("slider").focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("u =")).not_to_have_value("3")
    expect(page.get_by_label("v =")).not_to_have_value("4")
    settled(page)
    u, v = (float(page.get_by_label(f"{n} =").input_value()) for n in "uv")
    expect(derivative(page, "v")).to_have_text(f"{2 * v + 4 * u:.12g}")
    page.get_by_role("button", name="along v").click()
    expect(page.get_by_role("slider")).to_have_attribute("aria-label", re.compile("v$"))
    expect(page.get_by_role("button", name="along v")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.activeElement.textContent") == "along v", "the focus stays"


def test_a_finger_moves_the_point_or_scrolls(opened: Callable[..., Any]) -> None:
    page = opened("x**2", PHONE, x="1")
    plot = page.locator("#plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.8, box["y"] + 60)
    expect(page.get_by_label("x =")).not_to_have_value("1")
    tapped = float(page.get_by_label("x =").input_value())
    assert tapped > 2
    expect(derivative(page)).to_have_text(f"{2 * tapped:.12g}")
    assert plot.locator("svg").evaluate("(e) => getComputedStyle(e).touchAction") == "pan-y"


def test_names_that_javascript_has_too(opened: Callable[..., Any]) -> None:
    page = opened("constructor*toString*x", x="3")
    expect(page.get_by_label("constructor =")).to_have_value("1")
    page.get_by_label("toString =").fill("5")
    expect(derivative(page, "constructor")).to_have_text("15")


def test_switch_the_language(opened: Callable[..., Any]) -> None:
    page = opened("x**2*sin(x)", x="2")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("#h-steps")).to_have_text("链式法则，逐步推导")
    expect(page.locator("#steps .says").first).to_contain_text("局部导数")
    assert page.evaluate("document.documentElement.lang") == "zh"
    assert "导数" in page.title()
    page.get_by_role("textbox", name="函数").fill("2x")
    expect(page.locator("#hint")).to_have_text("第 2 列：缺少运算符；要相乘请写 2*x")
    page.get_by_role("button", name="English").click()
    expect(page.locator("#hint")).to_contain_text("an operator is missing; to multiply, write 2*x")


def test_bad_input_has_a_caret_under_its_place(opened: Callable[..., Any]) -> None:
    page = opened("x**2", x="1")
    field = page.get_by_role("textbox", name="Function")
    for text, column in (("x + * y", 5), ("sin(x", 1), ("x**2 +", 7), ("ｘ", 1)):
        field.fill(text)
        expect(page.locator("#hint")).to_contain_text(f"column {column}:")
        expect(field).to_have_attribute("aria-invalid", "true")
        places = page.evaluate("""column => {
            const input = document.getElementById("formula"), style = getComputedStyle(input);
            const pen = document.createElement("canvas").getContext("2d");
            pen.font = `${style.fontSize} ${style.fontFamily}`;
            const left = input.getBoundingClientRect().left + parseFloat(style.paddingLeft) + parseFloat(style.borderLeftWidth);
            return [left + pen.measureText(input.value.slice(0, column - 1)).width,
                    document.querySelector("#caret b").getBoundingClientRect().left];
        }""", column)  # fmt: skip
        assert abs(places[0] - places[1]) < 3, text
    expect(page.locator("main")).to_have_class("stale")
    field.fill("x**3")
    expect(page.locator("main")).not_to_have_class("stale")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    page.get_by_label("x =").fill("1/")
    expect(page.locator("#hint")).to_contain_text("Value of x: column 5")
    expect(page.get_by_label("x =")).to_have_attribute("aria-invalid", "true")
    field.fill("2 + 2")
    expect(page.locator("#hint")).to_contain_text("no variable")


def test_the_address_makes_the_page(opened: Callable[..., Any]) -> None:
    page = opened("x**2*sin(x)", x="2")
    page.get_by_label("x =").fill("pi/3")
    expect(page.locator("#mathematics .number").first).to_contain_text("x = 1.0472")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    other = page.context.new_page()
    other.goto(link)
    settled(other)
    expect(other.get_by_label("x =")).to_have_value("pi/3")
    assert other.get_by_role("textbox", name="Function").input_value() == "x**2*sin(x)"
    assert derivative(other).inner_text() == derivative(page).inner_text()


def test_all_of_it_by_keyboard(opened: Callable[..., Any]) -> None:
    page = opened("x**2", x="1")
    reached = []
    page.keyboard.press("Tab")
    while not page.evaluate("document.activeElement === document.body"):
        reached.append(page.evaluate("""() => {
            const e = document.activeElement, s = getComputedStyle(e);
            return [e.id || e.textContent.trim() || e.getAttribute("role"), e.matches(":focus-visible"),
                    s.outlineStyle !== "none" || s.boxShadow !== "none" || e.matches("g")];
        }"""))  # fmt: skip
        page.keyboard.press("Tab")
    names = [name for name, _, _ in reached]
    for name in ("formula", "at-x", "English", "中文", "x**2*sin(x)", "share", "closer", "farther", "around", "slider"):
        assert name in names, names
    assert not [name for name, visible, marked in reached if not (visible and marked)]


NAMES = """() => [...document.querySelectorAll("button, input, a, [role=slider], [role=region], [role=group], fieldset")]
    .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.[0]?.textContent.trim()
        || document.getElementById(e.getAttribute("aria-labelledby"))?.textContent.trim()))
    .map((e) => e.outerHTML.slice(0, 80))"""
CONTRAST = """() => {
    const parts = (c) => c.match(/[\\d.]+/g).map(Number);
    const light = (c) => parts(c).slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
    const under = (e) => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor; if (parts(c)[3] !== 0) return c; } return "rgb(255,255,255)"; };
    const poor = [];
    for (const e of document.querySelectorAll("h1, h2, p, label, legend, button, input, th, td, code, li, b, footer, text")) {
        if (!e.textContent.trim() || !e.getClientRects().length || e.closest("#graph, .unseen, .skip, #caret")) continue;
        const style = getComputedStyle(e), svg = e instanceof SVGElement;
        const [a, b] = [light(svg ? style.fill : style.color), light(under(svg ? e.closest("div") : e))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push(`${e.outerHTML.slice(0, 60)}: ${ratio.toFixed(2)}`);
    }
    return poor;
}"""


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_it_fits_and_is_readable(opened: Callable[..., Any], tmp_path: Path, size: Any, scheme: str, lang: str) -> None:
    page = opened("u**3 + v**2 + 4*u*v" if lang == "zh" else "exp(-x^2)*sin(3*x)", size, scheme, lang)
    assert page.evaluate("document.documentElement.scrollWidth") == size[0], "nothing to scroll sideways"
    assert page.evaluate(NAMES) == [], "all have a name for who does not see them"
    assert page.evaluate(CONTRAST) == [], "WCAG AA"
    small = page.evaluate("""() => [...document.querySelectorAll("button, input")].map((e) => [e.id || e.textContent,
        e.getBoundingClientRect()]).filter(([, b]) => b.width && b.height < 24 || b.width && b.width < 24).map(([name]) => name)""")
    assert small == [], "large enough for a finger (WCAG 2.5.8)"
    folder = Path(os.environ.get("CHAINRULE_SCREENSHOTS") or tmp_path)
    file = folder / f"{'phone' if size == PHONE else 'desk'}-{scheme}-{lang}.png"
    page.screenshot(path=file, full_page=True)
    assert file.stat().st_size > 20_000


def test_nothing_jumps_while_one_types(opened: Callable[..., Any]) -> None:
    page = opened("x**2*sin(x)", x="2")
    page.evaluate("""() => { window.shifts = []; new PerformanceObserver((list) => { for (const e of list.getEntries())
        shifts.push(e.value); }).observe({ type: "layout-shift" }); }""")
    field = page.get_by_role("textbox", name="Function")
    field.press("End")
    for key in ("+", "2", "*", "x", "Backspace", "Backspace", "Backspace", "Backspace"):
        field.press(key)
        page.wait_for_timeout(400)
    settled(page)
    assert sum(page.evaluate("shifts")) < 0.1, "the limit of what counts as good (web.dev/cls)"


def test_what_takes_too_long_is_not_asked_for_again(opened: Callable[..., Any]) -> None:
    page = opened("x**2", x="1")
    asked: list[dict[str, Any]] = []

    def slow(route: Any) -> None:
        asked.append(route.request.post_data_json)
        found = route.fetch().json()
        if not asked[-1]["brief"]:
            found = {k: v for k, v in found.items() if k != "mathml"} | {"failed": "time"}
        route.fulfill(json=found)

    page.route("**/answer", slow)
    page.get_by_label("x =").fill("3")
    expect(page.locator("#note")).to_contain_text("longer than the two seconds")
    expect(derivative(page)).to_have_text("6")
    page.get_by_label("x =").fill("4")
    expect(derivative(page)).to_have_text("8")
    expect(page.locator("#note")).to_be_visible()
    page.get_by_role("textbox", name="Function").fill("x**3")
    expect(derivative(page)).to_have_text("48")
    assert [a["brief"] for a in asked] == [False, True, False]


def test_a_range_that_is_none(opened: Callable[..., Any]) -> None:
    page = opened("x**2", x="1")
    page.evaluate("() => location.hash = '#formula=x**2&at=x=1&range=5&range=-5'")
    expect(page.locator("#plot svg")).to_be_visible()
    page.evaluate("() => location.hash = '#formula=x**2&at=x=9&range=-1&range=1'")
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuenow", "9")


def test_hostile_texts_are_only_texts(opened: Callable[..., Any]) -> None:
    page = opened("x", x="1")
    for text in HOSTILE:
        page.get_by_role("textbox", name="Function").fill(text)
        page.keyboard.press("Enter")
        settled(page)
        page.goto(
            page.url.partition("#")[0]
            + "#"
            + urlencode([("formula", text), ("at", f"{text}={text}"), ("lang", text), ("by", text)])
        )
        settled(page)
    page.evaluate("() => location.hash = '#formula=x&at=x=1'")
    page.get_by_label("x =").fill(HOSTILE[1])
    page.keyboard.press("Enter")
    settled(page)
    assert page.evaluate("typeof pwned") == "undefined"
    assert page.locator("script").count() == 1
    assert page.locator("iframe, object, embed, base, form[action], img:not(header img)").count() == 0


def test_the_server_gone(browser: Any) -> None:
    line = [sys.executable, "-m", "chainrule", "serve", "--port", "0", "--no-browser", "--lang", "en"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stdout is not None
    page = browser.new_page()
    page.goto(re.search(r"http://\S+", process.stdout.readline())[0])  # type: ignore[index]
    page.locator("#graph svg").wait_for(timeout=60_000)
    process.terminate()
    process.communicate(timeout=30)
    page.get_by_role("textbox", name="Function").fill("x**3")
    expect(page.locator("#hint")).to_contain_text("is chainrule serve still running?")
    page.close()
