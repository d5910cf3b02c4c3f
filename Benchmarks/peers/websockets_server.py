"""PyPI `websockets` as a server that sends each line it is given on a second port to everybody.

python3 websockets_server.py PORT LINE_PORT
"""

import asyncio
import sys

from websockets.asyncio.server import broadcast, serve

PORT, LINE_PORT = map(int, sys.argv[1:])
viewers = set()


async def watch(viewer):
    viewers.add(viewer)
    try:
        await viewer.wait_closed()
    finally:
        viewers.discard(viewer)


async def publish(reader, _):
    while line := await reader.readline():
        broadcast(viewers, line.decode().rstrip("\n"))


async def main():
    await asyncio.start_server(publish, "127.0.0.1", LINE_PORT)
    async with serve(watch, "127.0.0.1", PORT, compression=None, backlog=4096) as server:
        await server.serve_forever()


asyncio.run(main())
