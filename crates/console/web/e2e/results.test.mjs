// What a campaign came to and what it cost: its results, campaigns side by side, and the rate card that prices are from.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { button, COLOURS, done, openPage, signedIn, startBrowser, startHudhud, violations, visit } from './harness.mjs';
import { campaign, PEOPLE, until } from './stage.mjs';

let hudhud;
let browser;
let first;
let second;

const report = (id) => hudhud.request('GET', `/api/v1/campaigns/${id}/report`);
const pictures = process.env.PICTURES;
const picture = async (page, name) => { if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true }); };

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud(PEOPLE), startBrowser()]);
  await hudhud.connect();
  await hudhud.people('Spring fair', 120);
  first = await campaign(hudhud, 'Spring offer', { rate: 80 });
  second = await campaign(hudhud, 'Spring reminder', { rate: 80 });
  for (const id of [first, second]) {
    await until('most of it has arrived', async () => {
      const { funnel, cost } = await report(id);
      return funnel.delivered > 60 && funnel.read > 20 && cost.actual.length > 0;
    });
  }
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

test('a campaign’s page shows what it came to and what it cost', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud);
  await visit(page, `/campaigns/${first}`);
  await page.getByRole('heading', { name: 'Results' }).waitFor();
  const { funnel, cost, by_country: countries } = await report(first);
  assert.equal(countries[0].country, 'EG');
  assert.equal(cost.rows.reduce((sum, { messages }) => sum + messages, 0) + cost.unsaid, funnel.delivered);
  assert.ok(Math.abs(cost.actual[0].total - cost.rows[0].messages * 0.0644) < 1e-6, JSON.stringify(cost));
  await page.getByRole('table', { name: 'What it cost' }).getByRole('row', { name: /^Egypt Marketing/ }).waitFor();
  await page.getByRole('table', { name: 'By country' }).getByRole('row', { name: /^Egypt/ }).waitFor();
  await page.getByRole('table', { name: 'By button' }).getByRole('row', { name: /stops messages/ }).waitFor();
  await page.getByRole('table', { name: 'Hour by hour' }).getByRole('row').nth(1).waitFor();
  await page.getByRole('img', { name: /Most was read in the hour from/ }).waitFor();
  await page.getByText('These people cannot be reached on WhatsApp at this number.').waitFor();
  assert.deepEqual(await violations(page), []);
  await picture(page, 'results-en');
  await done(page);
  for (const [language, theme] of [['ar', 'dark'], ['es', 'light']]) {
    const other = await signedIn(browser, hudhud, { preferences: { language, theme }, viewport: { width: 390, height: 800 } });
    await visit(other, `/campaigns/${first}`);
    await other.locator('[data-report]').waitFor();
    assert.deepEqual(await violations(other), []);
    assert.equal(await other.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true, 'the page does not scroll sideways');
    await picture(other, `results-${language}-${theme}`);
    await done(other);
  }
});

test('campaigns are chosen and stand side by side', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('viewer') });
  await visit(page, '/campaigns');
  await page.getByRole('link', { name: 'Compare' }).click();
  await page.getByText('Choose at least two campaigns').waitFor();
  assert.deepEqual(await violations(page), []);
  await button(page, 'Compare the last two').click();
  await page.locator('[data-compared="2"]').waitFor();
  await page.getByRole('columnheader', { name: 'Spring reminder' }).waitFor();
  const delivered = page.getByRole('row', { name: /^Delivered/ });
  assert.match(await delivered.innerText(), /\d+\s+\d+\s?%/);
  assert.deepEqual(await violations(page), []);
  assert.match(page.url(), /campaigns=\d+(%2C|,)\d+/, 'the choice is in the address');
  await picture(page, 'compare-en');
  await done(page);
  const arabic = await signedIn(browser, hudhud, { preferences: { language: 'ar', theme: 'dark' }, viewport: { width: 390, height: 800 } });
  await visit(arabic, `/campaigns/compare?campaigns=${first},${second}`);
  await arabic.locator('[data-compared="2"]').waitFor();
  assert.deepEqual(await violations(arabic, COLOURS), []);
  await picture(arabic, 'compare-ar-dark');
  await done(arabic);
});

test('an administrator saves a new rate card, and the older one is kept', { timeout: 300_000 }, async () => {
  const viewer = await openPage(browser, hudhud.url, { key: hudhud.key('viewer', 'looker') });
  await visit(viewer, '/rate-card');
  await viewer.getByText('Administrators change the rate card.').waitFor();
  assert.equal(await button(viewer, 'New card from this one').count(), 0);
  await done(viewer);

  const page = await signedIn(browser, hudhud);
  await visit(page, '/rate-card');
  await page.getByRole('row', { name: 'Egypt 0.0644 0.0036 0.0036' }).waitFor();
  await page.getByRole('row', { name: /^France no price/ }).waitFor();
  assert.deepEqual(await violations(page), []);
  await picture(page, 'ratecard-en');
  await button(page, 'New card from this one').click();
  await page.getByLabel('Egypt: Marketing', { exact: true }).fill('a lot');
  await page.getByLabel('Source').fill('Our provider, winter');
  assert.equal(await button(page, 'Save as a new card').isDisabled(), true);
  await page.getByLabel('Egypt: Marketing', { exact: true }).fill('0.07');
  await page.getByLabel('France: Marketing', { exact: true }).fill('0.09');
  await page.getByLabel('Valid from').fill('2027-01-01');
  assert.deepEqual(await violations(page), []);
  await button(page, 'Save as a new card').click();
  await page.getByRole('row', { name: /^France 0.0900/ }).waitFor();
  const { cards, card } = await hudhud.request('GET', '/api/v1/rate-card');
  assert.deepEqual([cards.length, cards[0].valid_from, cards[0].source], [2, '2027-01-01', 'Our provider, winter']);
  assert.equal(card.id ?? null, new Date() < new Date('2027-01-01') ? null : cards[0].id);
  // Out as a file and in again: another card with the same prices.
  const fetched = page.waitForEvent('download');
  await button(page, 'Export as CSV').click();
  const file = await fetched;
  assert.equal(file.suggestedFilename(), 'rate-card-2027-01-01.csv');
  await page.locator('input[type=file]').setInputFiles(await file.path());
  await until('it is saved', async () => (await hudhud.request('GET', '/api/v1/rate-card')).cards.length === 3);
  // A file that is given before the page is through with the last one is not taken.
  await page.locator('.pagehead button[data-loading]').waitFor({ state: 'detached' });
  await page.locator('input[type=file]').setInputFiles({ name: 'prices.csv', mimeType: 'text/csv', buffer: Buffer.from('market,category,rate,currency,valid_from\nAtlantis,marketing,1,USD,2027-01-01\n') });
  await page.locator('[data-problem]').waitFor();
  assert.match(await page.locator('[data-problem]').innerText(), /Atlantis/);
  assert.equal((await hudhud.request('GET', '/api/v1/rate-card')).cards.length, 3);
  await done(page);
  const arabic = await signedIn(browser, hudhud, { preferences: { language: 'ar', theme: 'dark' }, viewport: { width: 390, height: 800 } });
  await visit(arabic, '/rate-card');
  await arabic.locator('[data-rates]').waitFor();
  assert.deepEqual(await violations(arabic, COLOURS), []);
  await picture(arabic, 'ratecard-ar-dark');
  await done(arabic);
});
