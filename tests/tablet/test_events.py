"""Events reach every page that listens, from any thread, and a slow page costs nobody else anything."""

import asyncio
import json
import threading

from spectralid.tablet.events import Broker, event_bytes


def parsed(text):
    fields = dict(line.split(": ", 1) for line in text.decode().strip().split("\n"))
    return fields["event"], json.loads(fields["data"])


async def take(stream, n):
    return [parsed(await asyncio.wait_for(anext(stream), 5)) for _ in range(n)]


def test_all_listeners_get_what_other_threads_publish_in_order():
    async def main():
        broker = Broker()
        streams = [broker.stream(event_bytes("state", {"n": 0})) for _ in range(3)]
        firsts = [await take(s, 1) for s in streams]

        def work():
            for n in range(20):
                broker.publish("progress", {"n": n, "text": "50 µm\n⁻¹"})

        thread = threading.Thread(target=work)
        thread.start()
        taken = [await take(s, 20) for s in streams]
        thread.join()
        return firsts, taken, broker.listeners

    firsts, taken, listeners = asyncio.run(main())
    assert firsts == [[("state", {"n": 0})]] * 3
    assert taken == [[("progress", {"n": n, "text": "50 µm\n⁻¹"}) for n in range(20)]] * 3
    assert listeners == 3


def test_a_page_that_does_not_read_keeps_the_newest():
    async def main():
        broker = Broker()
        slow = broker.stream(b"event: first\ndata: {}\n\n")
        await take(slow, 1)
        for n in range(1000):
            broker.publish("state", {"n": n})
        await asyncio.sleep(0)
        got = []
        while True:
            got += await take(slow, 1)
            if got[-1][1]["n"] == 999:
                return got

    got = asyncio.run(main())
    assert len(got) < 1000
    assert [g[1]["n"] for g in got] == list(range(got[0][1]["n"], 1000))


def test_a_page_that_goes_is_forgotten_and_closing_ends_the_others():
    async def main():
        broker = Broker()
        one, two = broker.stream(b"event: a\ndata: {}\n\n"), broker.stream(b"event: a\ndata: {}\n\n")
        await take(one, 1)
        await take(two, 1)
        await one.aclose()
        left = broker.listeners
        broker.close()
        rest = [text async for text in two]
        return left, rest, broker.listeners

    assert asyncio.run(main()) == (1, [], 0)


def test_publishing_to_a_loop_that_is_gone_is_no_error():
    broker = Broker()

    async def main():
        stream = broker.stream(b"event: a\ndata: {}\n\n")
        await take(stream, 1)
        return stream

    loop = asyncio.new_event_loop()
    kept = loop.run_until_complete(main())
    loop.close()
    broker.publish("state", {})
    assert broker.listeners == 0
    del kept
