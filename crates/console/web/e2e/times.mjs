// How long pages wait for their answers with 1,000,000 contacts and a campaign to all of them, on SQLite.
//   node e2e/times.mjs [PEOPLE] [ROUNDS]
// Learns what each page asks by opening it in a browser, then asks each of it by itself, again and again, while the
// campaign is paused half way. The median of each must be 100 ms at most.
import { performance } from 'node:perf_hooks';

import { NUMBER, openPage, startBrowser, startHudhud, visit } from './harness.mjs';
import { everyPage } from './pages.mjs';
import { campaign, until } from './stage.mjs';

const [people = 1_000_000, rounds = 21] = process.argv.slice(2).map(Number);
const PART = 250_000;

const hudhud = await startHudhud({ default_rate: 100_000 });
const browser = await startBrowser();
try {
  await hudhud.connect();
  const begun = performance.now();
  for (let from = 0; from < people; from += PART) await hudhud.people('Everybody', Math.min(PART, people - from), from);
  say(`${people} people imported in ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  await hudhud.request('POST', `/api/v1/numbers/${NUMBER}/rate`, { rate: 1000 });
  const small = await campaign(hudhud, 'A small one', { lists: ['Everybody'], rate: 1, filter: 'code = SPRING1' }).catch(() => campaign(hudhud, 'A small one', { lists: ['Everybody'], rate: 1 }));
  await hudhud.request('POST', `/api/v1/campaigns/${small}/cancel`);
  const large = await campaign(hudhud, 'To everybody', { lists: ['Everybody'] });
  const counts = async () => (await hudhud.request('GET', `/api/v1/campaigns/${large}`)).counts;
  await until('its audience is planned and some of it is sent', async () => {
    const { planned, queued, delivered, read } = await counts();
    return planned + queued < people && delivered + read > 2_000;
  }, 600_000);
  const running = await measure(large, 'while it sends');
  await hudhud.request('POST', `/api/v1/campaigns/${large}/pause`, { reason: 'measured' });
  const paused = await measure(large, 'while it is paused');
  const slow = [...running, ...paused].filter(({ median }) => median > 100);
  say(slow.length === 0 ? 'no answer takes more than 100 ms at the median' : `too slow: ${slow.map(({ what }) => what).join(', ')}`);
  process.exitCode = slow.length === 0 ? 0 : 1;
} finally {
  await browser.close();
  await hudhud.stop();
}

function say(words) {
  console.log(words);
}

async function measure(id, when) {
  const pages = everyPage({ campaign: id }).map((path) => path.replace('Spring%20fair', 'Everybody'));
  const page = await openPage(browser, hudhud.url, { key: hudhud.adminKey });
  const asked = new Map();
  page.on('request', (request) => {
    const { pathname, search } = new URL(request.url());
    if (!pathname.startsWith('/api/v1/') || pathname === '/api/v1/events') return;
    const what = `${request.method()} ${pathname}${search}`;
    asked.set(what, { method: request.method(), path: pathname + search, body: request.postData() });
  });
  for (const path of pages) await visit(page, path);
  await page.context().close();
  const person = '+201000000777';
  for (const [path, body] of [['/api/v1/optouts/check', { person }], ['/api/v1/ledger/prove', { person }], ['/api/v1/lists/count', { lists: ['Everybody'] }]]) asked.set(`POST ${path}`, { method: 'POST', path, body: JSON.stringify(body) });
  const rows = [];
  for (const [what, { method, path, body }] of asked) {
    const took = [];
    for (let round = 0; round < rounds; round += 1) {
      const from = performance.now();
      const answer = await fetch(`${hudhud.url}${path}`, { method, body: body ?? undefined, headers: { authorization: `Bearer ${hudhud.adminKey}`, 'content-type': 'application/json' } });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`${what}: ${answer.status}`);
      took.push(performance.now() - from);
      // The limit of one caller is not what is measured.
      await new Promise((done) => setTimeout(done, 5));
    }
    took.sort((one, other) => one - other);
    rows.push({ what, median: took[Math.floor(rounds / 2)], most: took.at(-1) });
  }
  rows.sort((one, other) => other.median - one.median);
  say(`\n${when}: ms at the median, ms at most`);
  for (const { what, median, most } of rows) say(`${median.toFixed(1).padStart(8)} ${most.toFixed(1).padStart(8)}  ${what}`);
  return rows;
}
