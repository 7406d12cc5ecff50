// The 1.x SDK, as an application on another origin uses it.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Provider, story } from './app.mjs';

await story({
  Client,
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  provider: new Provider('http://127.0.0.1:51004/callback'),
  requestInit: { headers: { Origin: 'https://app.example' } },
  // It takes the code alone; an error is the application's to see.
  async finishAuth(transport, answer) {
    if (!answer.has('code')) throw new Error(answer.get('error'));
    await transport.finishAuth(answer.get('code'));
  },
});
