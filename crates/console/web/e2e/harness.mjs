// A whole Hudhud for a test: a simulated Cloud API, `hudhud serve` with a data directory of its own, and a browser.
// Everything listens on this machine alone, on ports that were free, and ends with the test.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import axe from 'axe-core';
import { chromium } from 'playwright-core';

import { startFront } from './front.mjs';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
export const SECRETS = { access_token: 'simulated-access-token', app_secret: 'simulated-app-secret', verify_token: 'words-of-our-own' };
export const WABA = '100200300400500';
export const NUMBER = '200100000000001';

/** The executable that a variable names, or the newest that was built here. */
function executable(variable, name) {
  if (process.env[variable]) return resolve(process.env[variable]);
  const target = process.env.CARGO_TARGET_DIR ? resolve(process.env.CARGO_TARGET_DIR) : join(ROOT, 'target');
  const found = ['release', 'debug'].map((profile) => join(target, profile, name)).find((file) => existsSync(file));
  if (!found) throw new Error(`no ${name}: build it with deploy/build.sh, or name it in ${variable}`);
  return found;
}

function freePort() {
  return new Promise((done, fail) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
    server.on('error', fail);
  });
}

function ended(child) {
  return child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : new Promise((done) => child.once('exit', done));
}

async function stop(child) {
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended(child);
  clearTimeout(late);
}

/** Starts a simulator and a server. `settings` are the simulator's. */
export async function startHudhud(settings = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'hudhud-console-'));
  const [listen, admin] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${listen}`;
  const config = join(dir, 'sim.json');
  writeFileSync(config, JSON.stringify({
    default_rate: 1000,
    ...settings,
    webhook: { url: `${url}/webhooks/whatsapp`, app_secret: SECRETS.app_secret, ...settings.webhook },
  }));
  const simulator = spawn(executable('SIMULATOR_BIN', 'simulator'), ['--listen', '127.0.0.1:0', '--config', config], { stdio: ['ignore', 'pipe', 'ignore'] });
  const said = await new Promise((done, fail) => {
    createInterface({ input: simulator.stdout }).once('line', (line) => done(JSON.parse(line)));
    simulator.once('exit', () => fail(new Error('the simulator ended at once')));
  });
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HUDHUD_')));
  Object.assign(env, {
    HUDHUD_DATA_DIR: join(dir, 'data'), HUDHUD_LISTEN: `127.0.0.1:${listen}`, HUDHUD_ADMIN_LISTEN: `127.0.0.1:${admin}`,
    HUDHUD_GRAPH_URL: `http://${said.listening}`, HUDHUD_LOG: 'warn',
  });
  const hudhud = executable('HUDHUD_BIN', 'hudhud');
  const log = join(dir, 'serve.log');
  const out = openSync(log, 'w');
  const server = spawn(hudhud, ['serve'], { env, cwd: dir, stdio: ['ignore', out, out] });
  for (let tries = 0; ; tries += 1) {
    const ready = await fetch(`http://127.0.0.1:${admin}/readyz`).then(({ ok }) => ok, () => false);
    if (ready) break;
    if (server.exitCode !== null || tries > 400) throw new Error(`hudhud serve did not become ready; its log: ${log}`);
    await new Promise((done) => setTimeout(done, 100));
  }
  const key = (role, name = role) => JSON.parse(execFileSync(hudhud, ['apikey', 'create', name, '--role', role, '--json'], { env, cwd: dir, encoding: 'utf8' })).key;
  /** A link of `hudhud user …`, as the page that it opens. */
  const link = (...words) => new URL(JSON.parse(execFileSync(hudhud, ['user', ...words, '--json'], { env, cwd: dir, encoding: 'utf8' })).link);
  const adminKey = key('admin', 'console');
  const requestAs = (own) => async (method, path, body, type = 'application/json') => {
    const answer = await fetch(`${url}${path}`, {
      method, headers: { authorization: `Bearer ${own}`, 'content-type': type },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  };
  const request = requestAs(adminKey);
  const simulated = async (method, path, body) => (await fetch(`http://${said.control}${path}`, { method, body: body && JSON.stringify(body) })).json();
  const front = process.env.CONSOLE_DIST ? await startFront(listen) : null;
  return {
    url: front?.url ?? url, key, link, adminKey, request, simulated,
    /** The same questions, asked by another admin. */
    as: (name) => ({ request: requestAs(key('admin', name)) }),
    /** An account with its numbers and templates. */
    async connect() {
      await request('POST', '/api/v1/accounts', { name: 'shop', waba_id: WABA, ...SECRETS });
      await request('POST', '/api/v1/accounts/sync');
    },
    /** A list of made-up people. */
    async people(list, count, first = 0) {
      const rows = Array.from({ length: count }, (_, place) => `Person ${place},+2010${String(first + place).padStart(8, '0')},Cairo,SPRING${place % 7}`);
      const query = new URLSearchParams({ list, opt_in_source: 'test form', opt_in_at: '2026-01-05T00:00:00Z', file_name: `${list}.csv` });
      return request('POST', `/api/v1/imports?${query}`, ['name,phone,city,code', ...rows].join('\n'), 'text/csv');
    },
    async stop() {
      await front?.stop();
      await stop(server);
      await stop(simulator);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export async function startBrowser() {
  const executablePath = process.env.CHROMIUM_BIN ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => existsSync(file));
  if (!executablePath) throw new Error('no chromium: install it, or name it in CHROMIUM_BIN');
  return chromium.launch({
    executablePath,
    args: [
      // Pages that are not looked at must not be put behind everything else on the machine.
      '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows', '--disable-background-timer-throttling',
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
    ],
  });
}

/**
 * A page of its own session. It notes every request to another host, every line that the page reports as an error, and
 * every breach of the Content-Security-Policy; `page.complaints` holds them.
 */
export async function openPage(browser, url, { preferences = {}, key, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', timezoneId: 'Africa/Cairo', reducedMotion: 'reduce', ...options });
  await context.addInitScript(([kept, signedIn]) => {
    // An empty page has no storage of its own.
    if (location.protocol !== 'about:' && !localStorage.getItem('hudhud.preferences')) localStorage.setItem('hudhud.preferences', kept);
    if (signedIn && !sessionStorage.getItem('test.signed')) {
      sessionStorage.setItem('hudhud.key', signedIn);
      sessionStorage.setItem('test.signed', 'yes');
    }
  }, [JSON.stringify({ language: 'en', region: 'GB', theme: 'light', ...preferences }), key ?? null]);
  const page = await context.newPage();
  // A busy machine is slow, and no test here is about speed.
  page.setDefaultTimeout(90_000);
  page.complaints = [];
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (!['blob:', 'data:'].includes(asked.protocol) && asked.origin !== url) page.complaints.push(`asked another host: ${request.url()}`);
  });
  page.on('pageerror', (error) => page.complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    // A refusal that the page shows is also a line of the browser's own.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) page.complaints.push(`console: ${message.text()}`);
  });
  await page.goto(url);
  return page;
}

/** Goes to a page of the console as a click would, without loading everything again. */
export async function visit(page, path) {
  await page.locator('h1').first().waitFor();
  await page.evaluate((to) => history.pushState({}, '', to), path);
  await page.locator(`[data-page="${path.split('?')[0]}"]`).waitFor();
  await page.waitForFunction(() => document.querySelector('.mantine-Skeleton-root') === null);
}

/** The button of exactly that name. */
export const button = (page, name) => page.getByRole('button', { name, exact: true });

/** A page of an admin's own. */
export const signedIn = (browser, hudhud, options = {}) => openPage(browser, hudhud.url, { key: hudhud.adminKey, ...options });

/** Ends a page on which nothing may have happened that nobody may see: requests to other hosts, script errors, breaches of the CSP. */
export async function done(page) {
  assert.deepEqual(page.complaints, []);
  await page.context().close();
}

const TAGS = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] };
/** The rules that another theme can break. */
export const COLOURS = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] };

/** Violations of WCAG 2.2 AA on what is shown. axe is put into a document once, and asked there for every page of it. */
export async function violations(page, rules = TAGS) {
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(axe.source);
  const found = await page.evaluate(async (runOnly) => (await window.axe.run(document, { runOnly, resultTypes: ['violations'] })).violations.map(({ id, nodes }) => ({ id, nodes: nodes.slice(0, 2).map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`) })), rules);
  return found.map(({ id, nodes }) => `${id}: ${nodes.join(' | ')}`);
}
