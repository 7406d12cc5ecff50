// The 2.x client, as a native application uses it.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { Provider, story } from './app.mjs';

/** What was discovered is kept too, as this client advises. */
class RememberingProvider extends Provider {
  #discovered;

  discoveryState() {
    return this.#discovered;
  }

  saveDiscoveryState(discovered) {
    this.#discovered = discovered;
  }
}

await story({
  Client,
  Transport: StreamableHTTPClientTransport,
  UnauthorizedError,
  provider: new RememberingProvider('http://localhost:51004/callback'),
  // It reads code, error and `iss` from the answer itself.
  finishAuth: (transport, answer) => transport.finishAuth(answer),
});
