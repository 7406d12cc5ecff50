// The parts of an application around an SDK: a provider in memory, the redirect of the user, and the steps that the test follows,
// one line of standard output each.
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

/**
 * The URL of the MCP endpoint, the tool to call, `wait` for the expiry of the access token or `once`, and the URL of a document. A
 * machine gets its `client_id` and its secret in place of the last two.
 */
export const [url, tool, mode, documentUrl] = process.argv.slice(2);

/** Prints a step of the test. */
export const say = (step, text) => console.log(`${step} ${text}`);

/** A provider for one server, one client and one user. */
export class Provider {
  redirectUrl;
  #client;
  #tokens;
  #verifier;
  #state = crypto.randomUUID();

  constructor(redirectUrl) {
    this.redirectUrl = redirectUrl;
    // The URL of the client metadata document, if the client does not register.
    this.clientMetadataUrl = documentUrl;
  }

  get clientMetadata() {
    return {
      client_name: 'Interoperability test',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() {
    return this.#state;
  }

  clientInformation() {
    return this.#client;
  }

  saveClientInformation(client) {
    this.#client = client;
  }

  tokens() {
    return this.#tokens;
  }

  saveTokens(tokens) {
    this.#tokens = tokens;
    this.expiry = Date.now() + tokens.expires_in * 1000;
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
  }

  codeVerifier() {
    return this.#verifier;
  }

  redirectToAuthorization(url) {
    say('authorize', url);
  }
}

/** Connects by a provider of client credentials, without a user, and calls a tool. */
export async function machineStory({ Client, Transport, provider }) {
  const client = new Client({ name: 'interoperability-test', version: '1.0.0' });
  try {
    await client.connect(new Transport(new URL(url), { authProvider: provider }));
  } catch (error) {
    say('refused', `${error.errorCode ?? error.code ?? error.message} ${provider.tokens() ? 'with' : 'without'} tokens`);
    return;
  }
  say('tools', (await client.listTools()).tools.map((tool) => tool.name).join(' '));
  say('call', (await client.callTool({ name: tool, arguments: {} })).content[0].text);
  await client.close();
}

/** Connects, has the user asked, calls a tool and, if asked to wait, lets the access token expire and calls again. */
export async function story({ Client, Transport, UnauthorizedError, finishAuth, provider, requestInit }) {
  const input = createInterface({ input: process.stdin });
  const lines = input[Symbol.asyncIterator]();
  const open = () => new Transport(new URL(url), { authProvider: provider, requestInit });
  const connect = async (transport) => {
    const client = new Client({ name: 'interoperability-test', version: '1.0.0' });
    await client.connect(transport);
    return client;
  };

  const refused = open();
  const error = await connect(refused).then(() => new Error('connected without a token'), (error) => error);
  if (!(error instanceof UnauthorizedError)) throw error;
  const answer = new URL((await lines.next()).value).searchParams;
  input.close();
  // Both SDKs leave this comparison to the application.
  if (answer.get('state') !== provider.state()) throw new Error('the answer has another state');
  try {
    await finishAuth(refused, answer);
  } catch (error) {
    say('denied', `${error.code ?? error.message} ${provider.tokens() ? 'with' : 'without'} tokens`);
    return;
  }

  const client = await connect(open());
  say('tools', (await client.listTools()).tools.map((tool) => tool.name).join(' '));
  const call = async () => (await client.callTool({ name: tool, arguments: {} })).content[0].text;
  say('call', await call());
  if (mode === 'wait') {
    const before = provider.tokens();
    await setTimeout(provider.expiry + 1000 - Date.now());
    say('again', await call());
    const after = provider.tokens();
    say('refreshed', before.access_token !== after.access_token && before.refresh_token !== after.refresh_token);
  }
  await client.close();
}
