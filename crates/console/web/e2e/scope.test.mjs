// How far a stop reaches: compliance names a number's brand, stops one brand for one person, and sees what that covers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { button, done, openPage, signedIn, startBrowser, startHudhud, violations, visit } from './harness.mjs';

let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud(), startBrowser()]);
  await hudhud.connect();
  await hudhud.people('Spring fair', 3);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

test('a stop is for the brand that compliance chooses, and the verdict says no more than that', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('compliance') });
  await visit(page, '/accounts');
  await button(page, 'Set brand: Hoopoe Cairo').click();
  await page.getByRole('dialog').getByLabel('Brand').fill('هدهد مصر');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.locator('tr', { hasText: 'Hoopoe Cairo' }).getByText('هدهد مصر').waitFor();

  await visit(page, '/opt-outs');
  await button(page, 'Add a person').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Phone number or user id').fill('+20 100 000 0001');
  await dialog.getByLabel('Reason').fill('no more of this brand');
  const scopes = await dialog.getByLabel('What it covers').locator('option').evaluateAll((options) => options.map(({ value }) => value));
  assert.deepEqual(scopes.slice(0, 4), ['all', 'marketing', 'brand:هدهد مصر', 'number:200100000000001']);
  await dialog.getByLabel('What it covers').selectOption('brand:هدهد مصر');
  assert.deepEqual(await violations(page), []);
  await dialog.getByRole('button', { name: 'Add a person' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.locator('tbody tr', { hasText: '+20 100 000 0001' }).getByText(/Marketing of the brand .?هدهد مصر/).waitFor();
  await page.locator('[data-search]').fill('+20 100 000 0001');
  await button(page, 'Look up').click();
  await page.getByText('May not get part of the marketing').waitFor();
  await button(page, 'See the evidence').click();
  await page.locator('.notice').getByText('May not get part of the marketing').waitFor();
  await page.getByText('not covered by a signed head yet').waitFor();
  await done(page);
});

test('whoever may not answer for consent sees a number’s brand and cannot set it', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud, { key: hudhud.key('operator') });
  await visit(page, '/accounts');
  await page.getByText('Hoopoe Cairo').waitFor();
  assert.equal(await page.getByRole('button', { name: /^Set brand/ }).count(), 0);
  await done(page);
});
