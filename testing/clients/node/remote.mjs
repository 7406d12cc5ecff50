// `mcp-remote`, as an editor without OAuth uses it: a program that speaks MCP on its standard streams. It prints the authorization
// URL on standard error, opens it in a browser, and listens for the redirect itself.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport, getDefaultEnvironment } from '@modelcontextprotocol/sdk/client/stdio.js';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { mode, say, tool, url } from './app.mjs';

/** Where it keeps its tokens. The default is in the home directory. */
const store = join(process.cwd(), 'mcp-remote');

async function tokens() {
  const files = await readdir(store, { recursive: true });
  return JSON.parse(await readFile(join(store, files.find((file) => file.endsWith('_tokens.json')))));
}

const transport = new StdioClientTransport({
  command: process.execPath,
  args: [fileURLToPath(import.meta.resolve('mcp-remote/dist/proxy.js')), url],
  env: {
    ...getDefaultEnvironment(),
    ...(process.env.NODE_EXTRA_CA_CERTS && { NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS }),
    // The browser is the test: the program `true` takes its place here, and there is no display.
    BROWSER: 'true',
    MCP_REMOTE_CONFIG_DIR: store,
  },
  stderr: 'pipe',
});

let asked = false;
createInterface({ input: transport.stderr }).on('line', (line) => {
  console.error(line);
  if (asked && line.startsWith('http')) say('authorize', line);
  asked = line.startsWith('Please authorize this client');
});
// The redirect of the browser goes to the port where `mcp-remote` listens.
const input = createInterface({ input: process.stdin });
input.once('line', async (redirect) => {
  input.close();
  const page = await fetch(redirect);
  if (!page.ok) throw new Error(`the redirect is answered with ${page.status}: ${await page.text()}`);
});

const client = new Client({ name: 'interoperability-test', version: '1.0.0' });
await client.connect(transport);
say('tools', (await client.listTools()).tools.map((found) => found.name).join(' '));
const call = async () => (await client.callTool({ name: tool, arguments: {} })).content[0].text;
say('call', await call());
if (mode === 'wait') {
  const before = await tokens();
  await setTimeout(before.expires_in * 1000 + 1000);
  say('again', await call());
  const after = await tokens();
  say('refreshed', before.access_token !== after.access_token && before.refresh_token !== after.refresh_token);
}
await client.close();
