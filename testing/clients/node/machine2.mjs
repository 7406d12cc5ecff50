// The 2.x client, as a service without a user uses it.
import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { documentUrl, machineStory, mode } from './app.mjs';

const provider = new ClientCredentialsProvider({ clientId: mode, clientSecret: documentUrl });
await machineStory({ Client, Transport: StreamableHTTPClientTransport, provider });
