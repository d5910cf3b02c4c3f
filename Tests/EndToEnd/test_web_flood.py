"""A flood of votes does not freeze the page that shows them."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import websockets
from playwright.sync_api import expect

# In the browser the store makes no difference.
pytestmark = [pytest.mark.sqlite, pytest.mark.alone]

VOTES = 3000
PER_SECOND = 1000


async def flood(gateway, poll):
    """Casts votes at a steady rate over one socket, and returns once all are answered."""
    async with websockets.connect(
        f"{gateway.websocket_url}/ws/", proxy=None, compression=None, max_queue=None
    ) as socket:
        for number in range(VOTES):
            await socket.send(
                json.dumps(
                    {
                        "type": "vote",
                        "ref": str(number),
                        "poll_id": poll.id,
                        "option_ids": [poll.options[number % 4 == 0]],
                        "voter": f"flood {number}",
                    }
                )
            )
            if number % 20 == 19:
                await asyncio.sleep(20 / PER_SECOND)
        answered = 0
        while answered < VOTES:
            answered += json.loads(await socket.recv())["type"] == "ack"


def test_frames_are_drawn_while_a_thousand_votes_a_second_come_in(gateway, poll, visit):
    page = visit(gateway, f"/p/{poll.id}")
    expect(page.get_by_role("radio")).to_have_count(2)
    page.evaluate("""() => {
        window.frameCount = 0;
        window.totals = new Set();
        window.longTasks = [];
        new PerformanceObserver((list) => {
            for (const task of list.getEntries()) window.longTasks.push(Math.round(task.duration));
        }).observe({ type: "longtask" });
        const total = document.querySelector(".figures-line dd");
        const draw = () => {
            window.frameCount += 1;
            window.totals.add(total.textContent);
            requestAnimationFrame(draw);
        };
        draw();
    }""")
    with ThreadPoolExecutor() as pool:  # playwright has this thread's event loop
        pool.submit(lambda: asyncio.run(flood(gateway, poll))).result()
    expect(page.locator(".figures-line dd").first).to_have_text("3,000")
    frames, totals = page.evaluate("[window.frameCount, window.totals.size]")
    # Three seconds of votes: a busy machine draws few frames, a frozen page hardly any.
    assert frames > 20
    assert totals > 10
    print("long tasks, ms:", page.evaluate("window.longTasks"))
