// The 1.x SDK, as a service without a user uses it.
import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { documentUrl, machineStory, mode } from './app.mjs';

const provider = new ClientCredentialsProvider({ clientId: mode, clientSecret: documentUrl });
await machineStory({ Client, Transport: StreamableHTTPClientTransport, provider });
