// Looks at the pages of the bundled server as a person does, in Debian's Chromium.
//
//   node look.mjs http://127.0.0.1:4000 FOLDER < token
//
// Pastes the access token into `/docs`, calls operations through the page's own forms and compares
// what it shows. Ends with 0 and one line of JSON, or throws. Any request to elsewhere, any breach
// of the content security policy and any error on the console is a failure. Screenshots go into
// FOLDER.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { chromium } from 'playwright-core'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const PATIENCE_MS = 60_000

const [server, folder] = process.argv.slice(2)
const token = readFileSync(0, 'utf8').trim()
const wallet = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).sub

const profile = mkdtempSync(join(tmpdir(), 'session-browser-'))
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.SESSION_TEST_CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
  viewport: { width: 1280, height: 1000 },
})
const page = await context.newPage()
page.setDefaultTimeout(PATIENCE_MS)

const wrong = []
const requests = []
const refusals = []
page.on('console', (message) => {
  if (message.type() !== 'error') return
  // The browser writes of each refusal, also of those that are asked for here.
  const text = `${message.text()} ${message.location().url}`
  const asked = refusals.findIndex(({ status, url }) => text.includes(`${status} (`) && text.endsWith(url))
  if (asked < 0) wrong.push(`console: ${text}`)
  else refusals.splice(asked, 1)
})
page.on('pageerror', (error) => wrong.push(`page: ${error.stack ?? error}`))
// Whatever the policy refuses is an event of the page, even where nothing is written of it.
await context.exposeBinding('reportViolation', (_, text) => wrong.push(`policy: ${text}`))
await context.addInitScript(() => {
  addEventListener('securitypolicyviolation', (event) => {
    globalThis.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`)
  })
})
context.on('request', (request) => {
  requests.push(`${request.method()} ${request.url()}`)
  const url = new URL(request.url())
  const isOurs = url.origin === server || url.protocol === 'data:'
  if (!isOurs) wrong.push(`request to elsewhere: ${request.url()}`)
})

try {
  await lookAtStart()
  await lookAtReference()
  await lookOnSmallScreen()
  assert.deepEqual(wrong, [])
  assert.deepEqual(refusals, [])
  console.log(JSON.stringify({ requests: requests.length, screenshots: folder }))
} finally {
  await context.close()
  rmSync(profile, { recursive: true, force: true })
}

async function lookAtStart() {
  await page.goto(`${server}/`)
  assert.equal(await page.title(), 'session')
  await shoot('start')
  const links = await page.getByRole('link').evaluateAll((found) => found.map((link) => link.href))
  assert.ok(links.length >= 6, `few links: ${links}`)
  await page.getByRole('link', { name: 'API reference' }).click()
  await page.waitForURL(`${server}/docs`)
}

async function lookAtReference() {
  await page.getByRole('heading', { name: 'Signing in' }).waitFor()
  await shoot('reference')

  const refused = await run('/credits', 'get', undefined, 401)
  assert.equal(refused.status, '401')
  assert.equal(refused.body.code, 'unauthorized')

  await page.getByRole('button', { name: 'Authorize' }).first().click()
  const form = page.locator('.modal-ux form').filter({ hasText: 'access_token' })
  await form.locator('input').fill(token)
  await shoot('authorize')
  await form.getByRole('button', { name: 'Apply credentials' }).click()
  await form.getByRole('button', { name: 'Close' }).click()

  const credits = await run('/credits', 'get')
  assert.equal(credits.status, '200')
  assert.equal(credits.body.remaining_seconds, 0)
  await shoot('credits')

  const room = await run('/rooms/create', 'post', { visibility: 'open' })
  assert.equal(room.status, '200')
  const joined = await run('/rooms/join', 'post', { room_id: room.body.room_id })
  assert.equal(joined.status, '200')
  assert.equal(joined.body.host_wallet, wallet)
  await shoot('joined')
  const stay = { room_id: room.body.room_id, connection_id: joined.body.connection_id }
  const left = await run('/rooms/leave', 'post', stay)
  assert.equal(left.status, '200')
  assert.equal(left.body.closed, true)
  const again = await run('/rooms/leave', 'post', stay, 403)
  assert.equal(again.status, '403')
  assert.equal(again.body.code, 'not_your_connection')
}

async function lookOnSmallScreen() {
  await page.setViewportSize({ width: 390, height: 800 })
  await page.goto(`${server}/`)
  await shoot('start-small')
  await page.goto(`${server}/docs`)
  await page.getByRole('heading', { name: 'Signing in' }).waitFor()
  await shoot('reference-small')
}

// Fills in an operation's form, sends it, and reads what the page shows of the answer.
async function run(path, method, body, refused = null) {
  if (refused !== null) refusals.push({ status: refused, url: `${server}${path}` })
  const operation = page.locator(`.opblock-${method}`).filter({
    has: page.locator(`[data-path="${path}"]`),
  })
  const execute = operation.getByRole('button', { name: 'Execute', exact: true })
  if (!(await execute.isVisible())) {
    await operation.locator('.opblock-summary-control').click()
    await execute.waitFor()
  }
  if (body !== undefined) {
    await operation.locator('textarea.body-param__text').fill(JSON.stringify(body))
  }
  const answered = page.waitForResponse(
    (response) => response.url() === `${server}${path}` && response.request().method() !== 'OPTIONS',
  )
  await execute.click()
  const answer = await answered
  const shown = operation.locator('.live-responses-table .response')
  const text = await answer.text()
  await shown.locator('.response-col_status', { hasText: String(answer.status()) }).waitFor()
  await page.waitForFunction(
    ([block, id]) => block.textContent.includes(id),
    [await shown.elementHandle(), JSON.parse(text).request_id ?? Object.keys(JSON.parse(text))[0]],
  )
  const body_shown = await shown.locator('.highlight-code code').first().innerText()
  const status = (await shown.locator('.response-col_status').innerText()).split(/\s/)[0]
  return { status, body: JSON.parse(body_shown) }
}

async function shoot(name) {
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: false })
}
