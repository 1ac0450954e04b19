// openid-client against the service, as its documentation shows it: the metadata gives
// every value but the issuer's address.
//
// Prints a line for each operation that succeeded: client, operation, result.

import assert from 'node:assert/strict'
import * as client from 'openid-client'
import * as service from './report.mjs'

const { done, USER, SECRET, WRONG_SECRET } = service

const CLIENTS = {
  'web, public': ['web', () => client.None()],
  'shop, client_secret_basic': ['shop', client.ClientSecretBasic],
  'shop, client_secret_post': ['shop', client.ClientSecretPost],
}

// without this the library requires TLS
const insecure = { algorithm: 'oauth2', execute: [client.allowInsecureRequests] }
const discover = (id, authentication) =>
  client.discovery(new URL(service.URL), id, {}, authentication, insecure)

const code = (error) => {
  assert(error instanceof client.ResponseBodyError, error)
  assert(error.error_description, error)
  return error.error
}
// from an answer with a challenge the library reads the challenge only, and not the body
const challenge = (error) => {
  assert(error instanceof client.WWWAuthenticateChallengeError, error)
  const [{ scheme, parameters }] = error.cause
  return parameters.error ?? `${error.status} ${scheme}`
}

done('', 'errors are', 'ResponseBodyError.error')

for (const [name, [id, authentication]] of Object.entries(CLIENTS)) {
  const config = await discover(id, authentication(SECRET))
  const server = config.serverMetadata()
  assert.equal(server.issuer, service.URL)
  assert.equal(server.token_endpoint, `${service.URL}/oauth/token`)
  done(name, 'discovery', 'ok')

  const refused = (operation, expected, read, attempt) =>
    service.refused(name, operation, expected, read, attempt)
  const signIn = (user = USER, by = config, more = {}) =>
    client.genericGrantRequest(by, 'password', { ...user, ...more })
  const use = (tokens) =>
    client.fetchProtectedResource(config, tokens.access_token, new URL(`${service.URL}/v1/me`), 'GET')

  const first = await signIn()
  assert.equal(first.token_type, 'bearer')
  assert(first.expiresIn() > 0 && first.refresh_token && first.scope)
  done(name, 'sign-in', 'ok')

  const me = await use(first)
  assert.equal((await me.json()).email, USER.username)
  done(name, 'use', 'ok')

  const second = await client.refreshTokenGrant(config, first.refresh_token)
  assert.notEqual(second.refresh_token, first.refresh_token)
  await use(second)
  done(name, 'refresh', 'ok')

  if (id === 'shop') {
    const known = await client.tokenIntrospection(config, second.access_token)
    assert(known.active && known.client_id === id && known.username === USER.username, known)
    assert.equal(known.scope, second.scope)
    assert.equal(known.iss, service.URL)
  }
  await client.tokenRevocation(config, second.refresh_token, { token_type_hint: 'refresh_token' })
  done(name, 'revocation', 'ok')
  await refused('revoked token', 'invalid_token', challenge, () => use(second))
  if (id === 'shop') {
    const known = await client.tokenIntrospection(config, second.access_token)
    assert.deepEqual(known, { active: false })
    done(name, 'introspection', 'ok')
  }

  const stranger = await discover(id, client.ClientSecretPost(WRONG_SECRET))
  await refused('wrong secret', '401 basic', challenge, () => signIn(USER, stranger))
  await refused('wrong password', 'invalid_grant', code, () => signIn(service.WRONG_USER))
  const greedy = { scope: 'account.read admin' }
  await refused('too much scope', 'invalid_scope', code, () => signIn(USER, config, greedy))
  await refused('unknown grant', 'unsupported_grant_type', code, () =>
    client.clientCredentialsGrant(config),
  )
  const kiosk = await discover('kiosk', client.None())
  await refused('grant not allowed', 'unauthorized_client', code, () =>
    client.refreshTokenGrant(kiosk, first.refresh_token),
  )
  await refused('broken request', 'invalid_request', code, () => signIn(service.BROKEN_USER))

  // a thief has copied a refresh token, and uses it after its owner did
  const { refresh_token: stolen } = await signIn()
  const fresh = await client.refreshTokenGrant(config, stolen)
  await refused('spent refresh token', 'invalid_grant', code, () =>
    client.refreshTokenGrant(config, stolen),
  )
  await refused('after the theft', 'invalid_grant', code, () =>
    client.refreshTokenGrant(config, fresh.refresh_token),
  )
}
