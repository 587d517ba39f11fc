// A client of the bundled server that shares no code with it: wallets sign with viem, media tokens
// are read by their vendor's own package.
//
// One JSON command a line comes in, one JSON answer a line goes out: {"ok": …} or {"failed": "…"}.
//
//   {"do": "server", "url": "http://127.0.0.1:4000"}      where the next calls go
//   {"do": "wallet"}                                      a new wallet; its address
//   {"do": "sign-in", "wallet": "0x…", "as": "text"|"raw"}  nonce, signature, token; its claims
//   {"do": "call", "wallet": "0x…"|null, "method": "POST", "path": "/rooms/join", "body": {…}}
//   {"do": "decode", "token": "007…", "certificate": "…"}  what a media token says
//
// It ends when its input does.

import { randomBytes } from 'node:crypto'
import http from 'node:http'
import { createInterface } from 'node:readline'
import { inflateSync } from 'node:zlib'

// The package's main module leaves the reader out.
import accessToken from 'agora-token/src/AccessToken2.js'
import { privateKeyToAccount } from 'viem/accounts'

const ANSWER_MS_MAX = 30_000

const wallets = new Map()
let server = null

const commands = {
  server({ url }) {
    server = new URL(url)
    return {}
  },

  wallet() {
    const account = privateKeyToAccount(`0x${randomBytes(32).toString('hex')}`)
    wallets.set(account.address, { account, jwt: null })
    return { wallet: account.address }
  },

  async 'sign-in'({ wallet, as }) {
    const known = wallets.get(wallet)
    const { nonce } = granted(await send('POST', '/auth/nonce', { wallet }))
    if (!/^[0-9a-f]{64}$/.test(nonce)) {
      throw new Error(`nonce ${nonce} is not 64 lower-case hex digits`)
    }
    const message = { text: nonce, raw: { raw: `0x${nonce}` } }[as]
    const signature = await known.account.signMessage({ message })
    const { token } = granted(await send('POST', '/auth/verify', { wallet, signature, nonce }))
    known.jwt = token
    return { claims: JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()) }
  },

  call({ wallet, method, path, body }) {
    return send(method, path, body, wallet ? wallets.get(wallet).jwt : null)
  },

  decode({ token, certificate }) {
    return { vendor: readByVendor(token, certificate), own: readByHand(token) }
  },
}

// A connection for each request: a server that was killed leaves none to trip over.
function send(method, path, body, jwt = null) {
  const headers = { 'content-type': 'application/json' }
  if (jwt !== null) headers.authorization = `Bearer ${jwt}`
  return new Promise((resolve, reject) => {
    const request = http.request(new URL(path, server), { method, headers, agent: false })
    request.setTimeout(ANSWER_MS_MAX, () => request.destroy(new Error('no answer in time')))
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks = []
      response.on('error', reject)
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const isJson = (response.headers['content-type'] ?? '').includes('json')
        const parsed = isJson && text !== '' ? JSON.parse(text) : text
        resolve({ status: response.statusCode, headers: response.headers, body: parsed })
      })
    })
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

function granted({ status, body }) {
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
  return body
}

function readByVendor(token, certificate) {
  const read = new accessToken.AccessToken2('', '', 0, 0)
  if (!read.from_string(token)) throw new Error('the vendor cannot read the token')
  return {
    app_id: read.appId.toString(),
    issue_ts: read.issueTs,
    expire: read.expire,
    is_signed: certificate ? read.verifySignature(certificate) : null,
    services: read.services.map((service) => ({
      type: service.service_type(),
      privileges: service.__privileges,
      channel: service.__channel_name?.toString(),
      uid: service.__uid?.toString(),
    })),
  }
}

// The recorded layout, field by field (`rooms-and-sessions.md`, section 5).
function readByHand(token) {
  if (!token.startsWith('007')) throw new Error('the token is not of version 007')
  const bytes = inflateSync(Buffer.from(token.slice(3), 'base64'))
  let at = 0
  const u16 = () => bytes.readUInt16LE((at += 2) - 2)
  const u32 = () => bytes.readUInt32LE((at += 4) - 4)
  const take = () => {
    const length = u16()
    return bytes.subarray(at, (at += length))
  }
  const signature = take()
  const fields = { app_id: take().toString(), issue_ts: u32(), expire: u32() }
  const salt = u32()
  const services = Array.from({ length: u16() }, () => ({
    type: u16(),
    privileges: Object.fromEntries(Array.from({ length: u16() }, () => [u16(), u32()])),
    channel: take().toString(),
    uid: take().toString(),
  }))
  if (signature.length !== 32 || salt === 0 || at !== bytes.length) {
    throw new Error('the token is not laid out as recorded')
  }
  return { ...fields, services }
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const command = JSON.parse(line)
    answer = { ok: await commands[command.do](command) }
  } catch (error) {
    answer = { failed: error.stack ?? String(error) }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
