// The first day: from the one-time link to a delivered test message, by what each page offers and nothing else. No
// address is typed, no file is at hand.
import { after, before, test } from 'node:test';

import { enrol } from './enrol.mjs';
import { button, done, openPage, SECRETS, startBrowser, startHudhud, WABA } from './harness.mjs';
import { until } from './stage.mjs';

const FIELDS = ['Name', 'WhatsApp Business Account id', 'Access token', 'App secret', 'Verify token'];
let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud(), startBrowser()]);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

test('whoever opens the first link gets to a delivered test message by what the pages offer', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url);
  const link = hudhud.link('link');
  await page.goto('about:blank');
  await enrol(page, hudhud.url, link, 'Mona', 'mona@example.com');
  await button(page, 'I have kept them').click();
  await page.getByRole('link', { name: 'Connect account' }).click();
  await button(page, 'Add account').click();
  for (const [place, value] of ['shop', WABA, SECRETS.access_token, SECRETS.app_secret, SECRETS.verify_token].entries()) {
    await page.getByRole('dialog').getByLabel(FIELDS[place], { exact: false }).first().fill(value);
  }
  await button(page, 'Connect').click();
  await page.getByText('Hoopoe Cairo').waitFor();
  await page.getByText('/webhooks/whatsapp').waitFor();
  await page.getByText('Nothing heard yet').waitFor();
  await page.getByRole('link', { name: 'Import people' }).click();
  await page.getByLabel('Or type or paste them').fill('+20 100 555 0042\n');
  await button(page, 'Take 1 line').click();
  await page.getByLabel('Where did they opt in?').fill('my own phone');
  await page.locator('input[type=date]').fill('2026-01-05');
  await button(page, 'Check the file').click();
  await button(page, 'Import 1 person').click();
  await page.getByRole('link', { name: 'Use in a campaign' }).click();
  await page.getByLabel('Name of the campaign').fill('First test');
  await page.getByRole('combobox', { name: 'Template' }).click();
  await page.getByRole('option', { name: 'eid_offer · English' }).click();
  await page.getByText('Stop promotions').first().waitFor();
  await button(page, 'Next').click();
  await page.getByText('Hoopoe Cairo').click();
  await button(page, 'Next').click();
  await button(page, 'Check before sending').click();
  await page.getByText('Will get the message').waitFor();
  // The limit is told by the number's name.
  await page.getByText(/Hoopoe Cairo.?: [\d,]+ messages a second/).waitFor();
  await button(page, 'Launch').click();
  await button(page, 'Send to 1 person').click();
  await page.locator('.pagehead .state', { hasText: 'Finished' }).waitFor({ timeout: 60_000 });
  const delivered = page.locator('table tr', { hasText: 'Delivered' }).locator('td.num').first();
  await until('delivered', async () => (await delivered.textContent()) === '1', 30_000);
  await page.getByRole('navigation').getByRole('link', { name: 'Accounts and numbers' }).click();
  await page.getByText('Last heard').waitFor();
  await done(page);
});
