// oauth4webapi against the service, as its documentation shows it: for each operation a request and
// the processing of its answer, with the values of the metadata.
//
// Prints a line for each operation that succeeded: client, operation, result.

import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import * as service from './report.mjs'

const { done, USER, SECRET, WRONG_SECRET } = service

const CLIENTS = {
  'web, public': ['web', oauth.None()],
  'shop, client_secret_basic': ['shop', oauth.ClientSecretBasic(SECRET)],
  'shop, client_secret_post': ['shop', oauth.ClientSecretPost(SECRET)],
}

// without this the library requires TLS
const options = { [oauth.allowInsecureRequests]: true }

const code = (error) => {
  assert(error instanceof oauth.ResponseBodyError, error)
  assert(error.error_description, error)
  return error.error
}
// from an answer with a challenge the library reads the challenge only, and not the body
const challenge = (error) => {
  assert(error instanceof oauth.WWWAuthenticateChallengeError, error)
  const [{ scheme, parameters }] = error.cause
  return parameters.error ?? `${error.status} ${scheme}`
}

done('', 'errors are', 'ResponseBodyError.error')

for (const [name, [id, authentication]] of Object.entries(CLIENTS)) {
  const issuer = new URL(service.URL)
  const described = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...options })
  const as = await oauth.processDiscoveryResponse(issuer, described)
  assert.equal(as.revocation_endpoint, `${service.URL}/oauth/revoke`)
  done(name, 'discovery', 'ok')

  const client = { client_id: id }
  const refused = (operation, expected, read, attempt) =>
    service.refused(name, operation, expected, read, attempt)
  const signIn = async (user = USER, more = {}, by = authentication) => {
    const parameters = { ...user, ...more }
    const answer = await oauth.genericTokenEndpointRequest(
      as, client, by, 'password', parameters, options,
    )
    return oauth.processGenericTokenEndpointResponse(as, client, answer)
  }
  const refresh = async (token, by = client, proof = authentication) => {
    const answer = await oauth.refreshTokenGrantRequest(as, by, proof, token, options)
    return oauth.processRefreshTokenResponse(as, by, answer)
  }
  const introspect = async (token) => {
    const answer = await oauth.introspectionRequest(as, client, authentication, token, options)
    return oauth.processIntrospectionResponse(as, client, answer)
  }
  const use = ({ access_token: token }) => {
    const me = new URL(`${service.URL}/v1/me`)
    return oauth.protectedResourceRequest(token, 'GET', me, undefined, undefined, options)
  }

  const first = await signIn()
  assert.equal(first.token_type, 'bearer')
  assert(first.expires_in > 0 && first.refresh_token && first.scope)
  done(name, 'sign-in', 'ok')

  const me = await use(first)
  assert.equal((await me.json()).email, USER.username)
  done(name, 'use', 'ok')

  const second = await refresh(first.refresh_token)
  assert.notEqual(second.refresh_token, first.refresh_token)
  await use(second)
  done(name, 'refresh', 'ok')

  if (id === 'shop') {
    const known = await introspect(second.access_token)
    assert(known.active && known.client_id === id && known.username === USER.username, known)
    assert.equal(known.scope, second.scope)
  }
  const revoked = await oauth.revocationRequest(
    as, client, authentication, second.refresh_token, options,
  )
  await oauth.processRevocationResponse(revoked)
  done(name, 'revocation', 'ok')
  await refused('revoked token', 'invalid_token', challenge, () => use(second))
  if (id === 'shop') {
    assert.deepEqual(await introspect(second.access_token), { active: false })
    done(name, 'introspection', 'ok')
  }

  const stranger = oauth.ClientSecretPost(WRONG_SECRET)
  await refused('wrong secret', '401 basic', challenge, () => signIn(USER, {}, stranger))
  await refused('wrong password', 'invalid_grant', code, () => signIn(service.WRONG_USER))
  const greedy = { scope: 'account.read admin' }
  await refused('too much scope', 'invalid_scope', code, () => signIn(USER, greedy))
  await refused('unknown grant', 'unsupported_grant_type', code, async () => {
    const answer = await oauth.clientCredentialsGrantRequest(
      as, client, authentication, {}, options,
    )
    return oauth.processClientCredentialsResponse(as, client, answer)
  })
  await refused('grant not allowed', 'unauthorized_client', code, () =>
    refresh(first.refresh_token, { client_id: 'kiosk' }, oauth.None()),
  )
  await refused('broken request', 'invalid_request', code, () => signIn(service.BROKEN_USER))

  // a thief has copied a refresh token, and uses it after its owner did
  const { refresh_token: stolen } = await signIn()
  const fresh = await refresh(stolen)
  await refused('spent refresh token', 'invalid_grant', code, () => refresh(stolen))
  await refused('after the theft', 'invalid_grant', code, () => refresh(fresh.refresh_token))
}
