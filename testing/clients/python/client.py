"""The `mcp` client: connects, asks the user, calls a tool and, if asked to wait, lets the access token expire and calls again.

The test follows the steps, one line of standard output each.
"""

import asyncio
import sys
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, OAuthFlowError, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken


def say(step: str, text: object) -> None:
    print(step, text, flush=True)


class Memory(TokenStorage):
    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None
    expiry = 0.0

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens, self.expiry = tokens, time.time() + tokens.expires_in

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def main(url: str, tool: str, mode: str, document: str | None = None) -> None:
    """Calls `tool`; `mode` is `wait` or `once`. `document` is the URL of the client's metadata, if it does not register."""
    memory = Memory()
    error = None

    async def redirect(url: str) -> None:
        say("authorize", url)

    async def callback() -> AuthorizationCodeResult:
        """State and issuer are the client's to check, also of a denial; which error it was, it does not ask."""
        nonlocal error
        line = await asyncio.to_thread(sys.stdin.readline)
        answer = {name: values[0] for name, values in parse_qs(urlsplit(line.strip()).query).items()}
        error = answer.get("error")
        return AuthorizationCodeResult(code=answer.get("code", ""), state=answer.get("state"), iss=answer.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="Interoperability test",
        redirect_uris=["http://localhost:51004/callback"],
        token_endpoint_auth_method="none",
    )
    provider = OAuthClientProvider(url, metadata, memory, redirect, callback, client_metadata_url=document)
    async with httpx2.AsyncClient(auth=provider, timeout=30) as http:
        try:
            async with Client(streamable_http_client(url, http_client=http)) as client:
                tools = await client.list_tools()
                say("tools", " ".join(tool.name for tool in tools.tools))
                say("call", (await client.call_tool(tool)).content[0].text)
                if mode == "wait":
                    before = memory.tokens
                    await asyncio.sleep(memory.expiry + 1 - time.time())
                    say("again", (await client.call_tool(tool)).content[0].text)
                    after = memory.tokens
                    changed = before.access_token != after.access_token and before.refresh_token != after.refresh_token
                    say("refreshed", str(changed).lower())
        except* OAuthFlowError as group:
            if error is None:
                raise
            say("denied", f"{error} {'with' if memory.tokens else 'without'} tokens")


asyncio.run(main(*sys.argv[1:]))
