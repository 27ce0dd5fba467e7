// What people write, and an answer within the 24 hours: read by whoever may, with the keyboard, and sent once.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { button, done, NUMBER, openPage, signedIn, startBrowser, startHudhud, violations, visit } from './harness.mjs';
import { campaign, PEOPLE, until } from './stage.mjs';

let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud({ ...PEOPLE, people: { delivered_share: 1 }, faults: {} }), startBrowser()]);
  await hudhud.connect();
  await hudhud.people('Spring fair', 4);
  const id = await campaign(hudhud, 'Spring offer');
  await until('the campaign is through', async () => (await hudhud.request('GET', `/api/v1/campaigns/${id}`)).state === 'finished');
  for (const [from, body] of [['+201000000001', 'When do you open?'], ['+201000000002', 'هل التوصيل متاح إلى أسوان؟'], ['+201255500077', 'Who is this?']]) {
    await hudhud.simulated('POST', '/_sim/inbound', { from, act: 'text', text: body, phone_number_id: NUMBER });
    await until('it is kept', async () => (await hudhud.request('GET', '/api/v1/messages/inbound')).items[0]?.text === body);
  }
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

test('whoever may read answers a question with the keyboard, and sees it arrive', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('compliance') });
  await visit(page, '/inbox');
  const rows = page.locator('tbody tr[data-index]');
  await page.getByText('When do you open?').waitFor();
  assert.deepEqual(await rows.locator('blockquote').allTextContents(), ['Who is this?', 'هل التوصيل متاح إلى أسوان؟', 'When do you open?'], 'newest first');
  assert.match(await rows.nth(2).textContent(), /Spring offer.*supposed/);
  assert.deepEqual(await violations(page), []);
  // Only what answers the campaign.
  await page.getByLabel('Campaign').selectOption({ label: 'Spring offer' });
  await page.getByText('Who is this?').waitFor({ state: 'detached' });
  await page.getByLabel('Campaign').selectOption({ label: 'All' });
  const reply = rows.filter({ hasText: 'When do you open?' }).getByRole('button', { name: /^Answer/ });
  await reply.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await until('the box has the focus', () => page.evaluate(() => document.activeElement?.tagName === 'TEXTAREA'), 10_000);
  await page.keyboard.type('At nine, every day.');
  assert.deepEqual(await violations(page), []);
  for (let presses = 0; presses < 12 && await page.evaluate(() => document.activeElement?.textContent) !== 'Send'; presses += 1) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await dialog.locator('[role=status] .state', { hasText: /Delivered|Read/ }).waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  const texts = (await hudhud.simulated('GET', '/_sim/messages?limit=100')).messages.filter(({ template }) => template === '');
  assert.deepEqual(texts.map(({ to }) => to), ['+201000000001']);
  await done(page);
});

test('a refusal is told in the reader’s language, and the text stays', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud, { preferences: { language: 'es' } });
  await visit(page, '/inbox');
  await page.getByText('Who is this?').waitFor();
  await hudhud.request('POST', '/api/v1/optouts', { person: '+201255500077', reason: 'by phone' });
  await page.locator('tbody tr[data-index]', { hasText: 'Who is this?' }).getByRole('button', { name: /^Responder/ }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Tu respuesta').fill('Somos Hudhud.');
  await button(dialog, 'Enviar').click();
  await dialog.locator('[data-problem="wrong-state"]').getByText('La persona se dio de baja').waitFor();
  assert.equal(await dialog.getByLabel('Tu respuesta').inputValue(), 'Somos Hudhud.');
  await done(page);
});

test('whoever may not read what people write sees nothing of it', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('operator') });
  await page.locator('h1').first().waitFor();
  assert.equal(await page.getByRole('link', { name: 'What people write' }).count(), 0);
  await visit(page, '/inbox');
  assert.equal(await page.locator('blockquote').count(), 0);
  await done(page);
});
