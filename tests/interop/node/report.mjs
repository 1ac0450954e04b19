// Helpers of all Node clients: their names and secrets, and the report of their results.

import assert from 'node:assert/strict'

export const URL = process.env.VESTIBULE
export const USER = { username: process.env.EMAIL, password: process.env.PASSWORD }
export const SECRET = process.env.SECRET
export const WRONG_SECRET = 'not-the-right-secret'
export const WRONG_USER = { ...USER, password: 'not the right password' }
// a form must not contain NUL
export const BROKEN_USER = { ...USER, username: 'a\0b' }

export function done(client, operation, seen) {
  console.log([client, operation, seen].join('\t'))
}

/** Checks the library's exception for an error of the service; `read` finds the code in it. */
export async function refused(client, operation, expected, read, attempt) {
  let thrown
  try {
    await attempt()
  } catch (error) {
    thrown = error
  }
  assert(thrown, `${client}: ${operation}: nothing thrown`)
  const seen = read(thrown)
  if (seen !== expected) throw thrown
  done(client, operation, seen)
}
