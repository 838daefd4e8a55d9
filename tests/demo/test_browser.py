"""A stroke drawn in a real browser is recognised; nothing is asked from anywhere else."""

import threading

import pytest
from browsing import needs_a_browser, running_browser

from mlp.demo.choose import train_small
from mlp.demo.reader import Reader
from mlp.demo.server import open_server

pytestmark = needs_a_browser

ONE = [[(150, 40), (140, 240)]]
SEVEN = [[(80, 70), (200, 70), (130, 230)]]
ZERO = [[(140, 50), (90, 90), (85, 180), (140, 230), (195, 180), (190, 90), (140, 50)]]


@pytest.fixture(scope="module")
def server():
    server = open_server(Reader(train_small()), "a test", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(server, browser):
    page = browser.new_page()
    page.troubles, page.asked = [], []
    page.on("console", lambda message: page.troubles.append(message.text))
    page.on("pageerror", lambda error: page.troubles.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(server.url)
    answered(page)
    assert page.locator(".class").count() == 10
    yield page
    assert page.troubles == []
    assert {url for url in page.asked if not url.startswith((server.url, "data:"))} == set()
    page.close()


def answered(page) -> None:
    page.wait_for_selector("#state[aria-busy=false]")


def draw(page, strokes) -> None:
    box = page.locator("#drawing").bounding_box()
    for (x, y), *others in strokes:
        page.mouse.move(box["x"] + x, box["y"] + y)
        page.mouse.down()
        for x, y in others:
            page.mouse.move(box["x"] + x, box["y"] + y, steps=6)
        page.mouse.up()
    answered(page)


@pytest.mark.parametrize(("strokes", "digit"), [(ONE, "1"), (SEVEN, "7"), (ZERO, "0")], ids="170")
def test_a_drawing_is_recognised(page, strokes, digit):
    draw(page, strokes)
    assert page.locator("#state").text_content().startswith(f"It reads {digit}, with probability")
    assert page.locator(".best").text_content().startswith(digit)
    width = page.locator(".best .bar div").evaluate("bar => bar.offsetWidth / bar.parentElement.offsetWidth")
    assert width > 0.3
    assert "of 128 above 0" in page.locator("#hidden").text_content()


def test_a_finger_draws_too(page):
    page.evaluate(
        """() => {
            const canvas = document.getElementById("drawing"), box = canvas.getBoundingClientRect();
            canvas.setPointerCapture = () => {};
            const send = (type, y) => canvas.dispatchEvent(new PointerEvent(type,
                {clientX: box.left + 140, clientY: box.top + y, pointerId: 7, isPrimary: true,
                 pointerType: "touch", button: 0}));
            send("pointerdown", 40);
            for (let y = 50; y < 240; y += 10) send("pointermove", y);
            send("pointerup", 240);
        }"""
    )
    answered(page)
    assert page.locator("#state").text_content().startswith("It reads 1,")


def test_clearing_empties_all(page):
    draw(page, SEVEN)
    page.click("#clear")
    answered(page)
    assert page.locator("#state").text_content() == "Draw in the black square."
    assert page.locator(".best").count() == 0


def test_place_matters_without_preparation(page):
    corner = [[(10 + x / 5, 10 + y / 5) for x, y in stroke] for stroke in SEVEN]
    draw(page, corner)
    prepared = page.locator("#contributions").evaluate("canvas => canvas.toDataURL()")
    page.uncheck("#centre")
    answered(page)
    assert page.locator("#contributions").evaluate("canvas => canvas.toDataURL()") != prepared
