// What moves is told by one stream and not asked for; a line that breaks costs neither a page nor an upload.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { button, done, signedIn, startBrowser, startHudhud, visit } from './harness.mjs';
import { campaign, until } from './stage.mjs';

let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud(), startBrowser()]);
  await hudhud.connect();
  await hudhud.people('Spring fair', 400);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

const pause = (ms) => new Promise((over) => setTimeout(over, ms));

/** Which streams are open, and how often each path was asked for. */
function watched(page) {
  const open = new Set();
  const asked = new Map();
  let most = 0;
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    asked.set(pathname, (asked.get(pathname) ?? 0) + 1);
    if (pathname !== '/api/v1/events') return;
    open.add(request);
    most = Math.max(most, open.size);
  });
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => open.delete(request));
  return { open, asked, most: () => most };
}

const waiting = async (page) => Number((await page.locator('.fact', { hasText: 'Waiting' }).locator('.value').textContent()).replace(/\D/g, ''));

test('a running campaign is told, not asked for, by one stream for a tab that is looked at', { timeout: 300_000 }, async () => {
  const id = await campaign(hudhud, 'Told', { rate: 4 });
  const page = await signedIn(browser, hudhud);
  const seen = watched(page);
  await visit(page, `/campaigns/${id}`);
  await until('the stream tells of it', () => seen.open.size === 1);
  const before = await waiting(page);
  await pause(1_500);
  const asked = new Map(seen.asked);
  await until('it went on', async () => (await waiting(page)) < before, 20_000);
  await pause(3_000);
  for (const path of ['/api/v1/queue', `/api/v1/campaigns/${id}`]) assert.equal(seen.asked.get(path), asked.get(path), `${path} was asked for beside the stream`);
  // Another page, another campaign: the one stream is ended and another begins.
  await visit(page, '/queue');
  await visit(page, '/campaigns');
  await visit(page, `/campaigns/${id}`);
  await until('one stream is open', () => seen.open.size === 1);
  // A tab that nobody looks at has none.
  const look = (state) => page.evaluate((to) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => to });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await look('hidden');
  await until('a hidden tab has none', () => seen.open.size === 0, 10_000);
  await look('visible');
  await until('it is back', () => seen.open.size === 1, 10_000);
  assert.equal(seen.most(), 1, 'never two at once');
  await hudhud.request('POST', `/api/v1/campaigns/${id}/cancel`);
  await page.locator('.pagehead .state', { hasText: 'Stopped' }).waitFor();
  await done(page);
});

test('when the stream breaks the page asks as before, and listens again when it is back', { timeout: 300_000 }, async () => {
  const id = await campaign(hudhud, 'Asked', { rate: 4 });
  const page = await signedIn(browser, hudhud);
  const seen = watched(page);
  await page.route('**/api/v1/events**', (route) => route.abort());
  await page.reload();
  await visit(page, `/campaigns/${id}`);
  const before = await waiting(page);
  await until('it went on without a stream', async () => (await waiting(page)) < before, 30_000);
  assert.ok(seen.asked.get(`/api/v1/campaigns/${id}`) >= 2);
  await page.unroute('**/api/v1/events**');
  await until('it listens again', async () => {
    const asked = seen.asked.get('/api/v1/queue');
    await pause(5_000);
    return seen.asked.get('/api/v1/queue') === asked;
  }, 90_000);
  await hudhud.request('POST', `/api/v1/campaigns/${id}/cancel`);
  await page.locator('.pagehead .state', { hasText: 'Stopped' }).waitFor();
  await done(page);
});

test('a large file whose line breaks, and whose page is loaded again, goes on from where it was', { timeout: 600_000 }, async () => {
  // Two pieces of bytes, and not so many people as bytes.
  const street = 'Street of the Bird Market behind the second gate on the left of the fountain '.repeat(3);
  const rows = Array.from({ length: 40_000 }, (_, place) => `Person ${place},+2012${String(place).padStart(8, '0')},${street}`);
  const buffer = Buffer.from(['who,reach,city', ...rows].join('\n'));
  const page = await signedIn(browser, hudhud);
  const pieces = [];
  let broken = 0;
  await page.route('**/api/v1/uploads/*?offset=*', async (route) => {
    const offset = Number(new URL(route.request().url()).searchParams.get('offset'));
    // The second piece breaks off, twice.
    if (offset > 0 && broken < 2) {
      broken += 1;
      await route.abort('connectionreset');
      return;
    }
    pieces.push(offset);
    await route.continue();
  });
  // The browser knows a file by its time, too: the same one is chosen each time.
  const choose = async () => {
    await visit(page, '/lists/import');
    await page.evaluate(([text]) => {
      const input = document.querySelector('input[type=file]');
      const chosen = new DataTransfer();
      chosen.items.add(new File([text], 'large.csv', { type: 'text/csv', lastModified: 1_700_000_000_000 }));
      input.files = chosen.files;
      input.dispatchEvent(new Event('change', { bubbles: true }));
    }, [buffer.toString()]);
    await page.getByText('First rows of the file').first().waitFor({ state: 'attached' });
  };
  const pick = async (column, field) => {
    await page.getByRole('combobox', { name: `What is in “${column}”` }).click();
    await page.getByRole('option', { name: field, exact: true }).click();
  };
  const say = async () => {
    await page.getByRole('textbox', { name: 'List' }).or(page.getByRole('combobox', { name: 'List' })).fill('In pieces');
    await page.locator('input[type=date]').fill('2026-01-05');
  };
  await choose();
  await pick('reach', 'Phone number');
  await pick('who', 'Name');
  await say();
  await page.getByLabel('Where did they opt in?').fill('counter');
  await button(page, 'Check the file').click();
  await page.getByText('The line broke.').waitFor();
  await page.getByText('goes on by itself').waitFor();
  await until('the second piece went', () => pieces.length >= 2, 60_000);
  await page.reload();
  await choose();
  await pick('reach', 'Phone number');
  await pick('who', 'Name');
  await say();
  await page.getByLabel('Where did they opt in?').fill('counter');
  await button(page, 'Check the file').click();
  await button(page, 'Import 40,000 people').click({ timeout: 300_000 });
  await page.getByText('Nothing was sent.').waitFor({ timeout: 300_000 });
  assert.equal(pieces.filter((offset) => offset === 0).length, 1, `the first piece went once: ${pieces}`);
  const [last] = (await hudhud.request('GET', '/api/v1/imports')).items;
  assert.deepEqual([last.state, last.rows, last.accepted, last.opt_in_source], ['done', 40_000, 40_000, 'counter']);
  // The next file with these columns is known.
  await visit(page, '/lists');
  await visit(page, '/lists/import');
  await button(page, 'Import another file').click();
  await page.locator('input[type=file]').setInputFiles({ name: 'next.csv', mimeType: 'text/csv', buffer: Buffer.from('who,reach,city\nMona,+201200000001,Giza\n') });
  await page.getByText('Matched as a file with the same columns was before.').waitFor();
  assert.equal(await page.getByRole('combobox', { name: 'What is in “reach”' }).inputValue(), 'Phone number');
  assert.equal(await page.getByRole('combobox', { name: 'What is in “who”' }).inputValue(), 'Name');
  assert.equal(await page.getByLabel('Where did they opt in?').inputValue(), 'counter');
  await done(page);
});
