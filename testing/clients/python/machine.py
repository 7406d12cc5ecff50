"""The `mcp` client, as a service without a user uses it: connects by client credentials and calls a tool.

The test follows the steps, one line of standard output each.
"""

import asyncio
import sys

import httpx2
from mcp.client import Client
from mcp.client.auth import OAuthFlowError, TokenStorage
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken


def say(step: str, text: object) -> None:
    print(step, text, flush=True)


class Memory(TokenStorage):
    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


async def main(url: str, tool: str, client_id: str, secret: str) -> None:
    memory = Memory()
    provider = ClientCredentialsOAuthProvider(url, memory, client_id, secret)
    async with httpx2.AsyncClient(auth=provider, timeout=30) as http:
        try:
            async with Client(streamable_http_client(url, http_client=http)) as client:
                tools = await client.list_tools()
                say("tools", " ".join(tool.name for tool in tools.tools))
                say("call", (await client.call_tool(tool)).content[0].text)
        except* OAuthFlowError:
            say("refused", f"{'with' if memory.tokens else 'without'} tokens")


asyncio.run(main(*sys.argv[1:]))
