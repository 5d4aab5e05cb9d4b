"""The yardstick: a bare aiohttp proxy that does nothing but pass a chat request on and the answer back.

    python -m bench.pass_through --vendor http://127.0.0.1:7000/sim-a/v1 [--port 0]

Same libraries as the gateway (aiohttp, uvloop), no auth, no parsing, no queue, no accounts. Prints its URL.
"""

import argparse
import asyncio

import aiohttp
import uvloop
from aiohttp import web


class PassThrough:
    def __init__(self, vendor_url: str) -> None:
        self._url = f"{vendor_url}/chat/completions"
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
        async with self._session.post(self._url, data=body, headers=headers) as answer:
            if not answer.headers["Content-Type"].startswith("text/event-stream"):
                return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def serve(vendor_url: str, port: int) -> None:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", PassThrough(vendor_url).chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.pass_through")
    parser.add_argument("--vendor", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    uvloop.run(serve(options.vendor, options.port))
