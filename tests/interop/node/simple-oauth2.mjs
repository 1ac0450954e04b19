// simple-oauth2 against the service, as its documentation shows it.
//
// Prints a line for each operation that succeeded: client, operation, result.

import assert from 'node:assert/strict'
import { ClientCredentials, ResourceOwnerPassword } from 'simple-oauth2'
import * as service from './report.mjs'

const { done, USER, SECRET, WRONG_SECRET } = service

// The library has no public clients. An empty secret counts as none.
const CLIENTS = {
  'web, Basic without secret': ['web', '', 'header'],
  'web, empty client_secret': ['web', '', 'body'],
  'shop, client_secret_basic': ['shop', SECRET, 'header'],
  'shop, client_secret_post': ['shop', SECRET, 'body'],
}

const settings = (id, secret, authorizationMethod) => ({
  client: { id, secret },
  auth: { tokenHost: service.URL, tokenPath: '/oauth/token', revokePath: '/oauth/revoke' },
  options: { authorizationMethod },
})

// the library throws its HTTP client's error, which contains the answer
const code = (error) => {
  assert(error.isBoom, error)
  const { error: code, error_description: description } = error.data.payload
  assert(description, error)
  return code
}

const use = ({ token }) =>
  fetch(`${service.URL}/v1/me`, { headers: { authorization: `Bearer ${token.access_token}` } })

done('', 'errors are', 'Boom.data.payload.error')

for (const [name, [id, secret, method]] of Object.entries(CLIENTS)) {
  const refused = (operation, expected, attempt) =>
    service.refused(name, operation, expected, code, attempt)
  const client = new ResourceOwnerPassword(settings(id, secret, method))

  const first = await client.getToken(USER)
  assert.equal(first.token.token_type, 'Bearer')
  assert(!first.expired() && first.token.refresh_token)
  done(name, 'sign-in', 'ok')

  assert.equal((await (await use(first)).json()).email, USER.username)
  done(name, 'use', 'ok')

  const second = await first.refresh()
  assert.notEqual(second.token.refresh_token, first.token.refresh_token)
  assert.equal((await use(second)).status, 200)
  done(name, 'refresh', 'ok')

  // by default the library takes an answer without JSON for a failure, and stops after the first token;
  // these options go to its HTTP client
  await second.revokeAll({ json: true })
  done(name, 'revocation', 'ok')
  const { status } = await use(second)
  assert.equal(status, 401)
  done(name, 'revoked token', status)

  const stranger = new ResourceOwnerPassword(settings(id, WRONG_SECRET, method))
  await refused('wrong secret', 'invalid_client', () => stranger.getToken(USER))
  await refused('wrong password', 'invalid_grant', () => client.getToken(service.WRONG_USER))
  await refused('too much scope', 'invalid_scope', () =>
    client.getToken({ ...USER, scope: ['account.read', 'admin'] }),
  )
  await refused('unknown grant', 'unsupported_grant_type', () =>
    new ClientCredentials(settings(id, secret, method)).getToken({}),
  )
  const kiosk = new ResourceOwnerPassword(settings('kiosk', '', method))
  await refused('grant not allowed', 'unauthorized_client', () =>
    kiosk.createToken(first.token).refresh(),
  )
  await refused('broken request', 'invalid_request', () => client.getToken(service.BROKEN_USER))

  // a thief has copied a refresh token, and uses it after its owner did
  const owner = await client.getToken(USER)
  const stolen = client.createToken(owner.token)
  const fresh = await owner.refresh()
  await refused('spent refresh token', 'invalid_grant', () => stolen.refresh())
  await refused('after the theft', 'invalid_grant', () => fresh.refresh())
}
