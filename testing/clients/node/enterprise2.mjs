// The 2.x client of an organization whose identity provider speaks for its users (Enterprise-Managed Authorization). The identity
// provider is this file: it signs with the key of the environment.
import { Client, CrossAppAccessProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { SignJWT, importPKCS8 } from 'jose';
import { documentUrl, machineStory, mode } from './app.mjs';

const { IDP_ISSUER, IDP_KEY } = process.env;
const key = await importPKCS8(IDP_KEY, 'ES256');

const provider = new CrossAppAccessProvider({
  clientId: mode,
  clientSecret: documentUrl,
  expectedIssuer: process.env.SERVER,
  assertion: ({ authorizationServerUrl, resourceUrl, scope }) =>
    new SignJWT({ client_id: mode, resource: resourceUrl, scope })
      .setProtectedHeader({ alg: 'ES256', typ: 'oauth-id-jag+jwt', kid: '1' })
      .setIssuer(IDP_ISSUER)
      .setSubject('u-1')
      .setAudience(authorizationServerUrl)
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(key),
});
await machineStory({ Client, Transport: StreamableHTTPClientTransport, provider });
