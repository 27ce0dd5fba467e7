// The console in a real browser, on a real server and a simulated Cloud API.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { button, COLOURS, done, openPage, SECRETS, startBrowser, startHudhud, violations, visit, WABA } from './harness.mjs';
import { everyPage } from './pages.mjs';
import { campaign, PEOPLE, until } from './stage.mjs';

let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud(PEOPLE), startBrowser()]);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

test('somebody with a key gets from nothing to a delivered message by what the pages say', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url);
  await button(page, 'Use an API key instead').click();
  await page.getByLabel('API key').fill('hudhud_mistyped');
  await button(page, 'Sign in').click();
  await page.getByText('This key opens nothing here.').waitFor();
  await page.getByLabel('API key').fill(hudhud.adminKey);
  await button(page, 'Sign in').click();

  await page.getByRole('link', { name: 'Connect account' }).click();
  await button(page, 'Add account').click();
  for (const [label, value] of [['Name', 'shop'], ['WhatsApp Business Account id', WABA], ['Access token', SECRETS.access_token], ['App secret', SECRETS.app_secret], ['Verify token', SECRETS.verify_token]]) {
    await page.getByRole('dialog').getByLabel(label, { exact: false }).first().fill(value);
  }
  await button(page, 'Connect').click();
  await page.getByText('Hoopoe Cairo').waitFor();

  await visit(page, '/');
  await page.getByRole('link', { name: 'Import people' }).click();
  const rows = ['Nombre;Teléfono;Ciudad', 'Lucía;600 000 401;Madrid', 'Mateo;+34 600 000 402;Sevilla', 'Nadie;;Madrid', 'Hoja;2,01E+11;Lugo'];
  await page.locator('input[type=file]').setInputFiles({ name: 'feria.csv', mimeType: 'text/csv', buffer: Buffer.from(rows.join('\r\n'), 'latin1') });
  await page.getByText('First rows of the file').first().waitFor({ state: 'attached' });
  assert.equal(await page.getByRole('combobox', { name: 'What is in “Teléfono”' }).inputValue(), 'Phone number');
  await page.getByRole('combobox', { name: 'Country of numbers without a country code' }).fill('Spain');
  await page.getByRole('option', { name: 'Spain' }).click();
  await page.getByLabel('Where did they opt in?').fill('autumn fair');
  await page.locator('input[type=date]').fill('2026-01-05');
  await button(page, 'Check the file').click();
  await page.getByText('Rows that are wrong').first().waitFor();
  await page.getByText('This is only a check').waitFor({ state: 'detached' });
  await button(page, 'Import 2 people').click();
  await page.getByText('Nothing was sent.').waitFor();

  await page.getByRole('link', { name: 'Use in a campaign' }).click();
  await page.getByLabel('Name of the campaign').fill('Feria');
  await page.getByRole('combobox', { name: 'Template' }).click();
  await page.getByRole('option', { name: 'eid_offer · Spanish' }).click();
  await page.getByText('Quiero saber más').waitFor();
  await button(page, 'Next').click();
  await page.getByText('Hoopoe Cairo').click();
  await button(page, 'Next').click();
  await button(page, 'Check before sending').click();
  await page.getByText('Will get the message').waitFor();
  await button(page, 'Launch').click();
  await button(page, 'Send to 2 people').click();
  await page.waitForURL(/\/campaigns\/\d+$/);
  await page.locator('.pagehead .state', { hasText: 'Finished' }).waitFor({ timeout: 60_000 });
  const delivered = page.locator('table tr', { hasText: 'Delivered' }).locator('td.num').first();
  await until('delivered', async () => (await delivered.textContent()) === '2', 30_000);
  await done(page);
});

test('a running campaign is paused, resumed and stopped by buttons that say what they do', { timeout: 300_000 }, async () => {
  await hudhud.people('Spring fair', 300);
  const id = await campaign(hudhud, 'Spring offer', { rate: 3 });
  const page = await openPage(browser, hudhud.url, { key: hudhud.adminKey });
  await visit(page, `/campaigns/${id}`);
  await button(page, 'Pause').click();
  await page.getByRole('dialog').getByLabel('Reason').fill('wrong discount');
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await page.locator('.pagehead', { hasText: 'wrong discount' }).waitFor();
  await button(page, 'Resume').click();
  await page.locator('.pagehead .state', { hasText: 'Running' }).waitFor();
  await button(page, 'Stop the campaign').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Keep sending' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.locator('.pagehead .state', { hasText: 'Running' }).waitFor();
  await button(page, 'Stop the campaign').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop the campaign' }).click();
  await page.locator('.pagehead .state', { hasText: 'Stopped' }).waitFor();
  await page.getByText('The campaign was stopped before their turn').waitFor();
  await done(page);
});

test('a person is looked up in any form, and the verdict comes first', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.adminKey });
  await visit(page, '/opt-outs');
  await page.locator('[data-search]').fill('0020 100 123 4567');
  await button(page, 'Look up').click();
  await page.getByText('May be messaged').waitFor();
  await button(page, 'Put them on the list').click();
  await page.getByRole('dialog').getByLabel('Reason').fill('asked at the till');
  await page.getByRole('dialog').getByRole('button', { name: 'Add a person' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.locator('[data-search]').fill('+20 (100) 123-4567');
  await button(page, 'Look up').click();
  await page.getByText('May not be messaged').waitFor();
  await page.locator('tbody tr', { hasText: '+20 100 123 4567' }).waitFor();
  await page.getByRole('link', { name: 'Ledger' }).click();
  await button(page, 'Verify now').click();
  await page.getByText('every link holds').waitFor();
  await button(page, 'Sign the head').click();
  await page.locator('details summary').first().click();
  await page.getByText('Public key').first().waitFor();
  await done(page);
});

test('each role sees its own pages and acts only', { timeout: 300_000 }, async () => {
  for (const [role, sees, misses] of [['viewer', ['Campaigns', 'Sending'], ['In doubt', 'Opt-out list', 'API keys']], ['operator', ['In doubt', 'Opt-out list'], ['API keys']]]) {
    const page = await openPage(browser, hudhud.url, { key: hudhud.key(role) });
    await page.getByRole('navigation').getByRole('link', { name: sees.at(-1) }).waitFor();
    for (const name of sees) assert.equal(await page.getByRole('navigation').getByRole('link', { name }).count(), 1, `${role}: ${name}`);
    for (const name of misses) assert.equal(await page.getByRole('navigation').getByRole('link', { name }).count(), 0, `${role}: ${name}`);
    await visit(page, '/queue');
    await page.getByText('Hoopoe Cairo').waitFor();
    assert.equal(await button(page, 'Pause all').count(), role === 'operator' ? 1 : 0, role);
    await page.context().close();
  }
});

test('in Arabic the page runs from right to left, and a phone number from left to right', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.adminKey });
  await page.getByRole('button', { name: /^Language/ }).click();
  await page.getByRole('menuitem', { name: 'العربية' }).click();
  await page.getByRole('heading', { level: 1, name: 'الرئيسية' }).waitFor();
  assert.deepEqual(await page.evaluate(() => [document.documentElement.dir, document.documentElement.lang]), ['rtl', 'ar']);
  await visit(page, '/opt-outs');
  const phone = page.locator('tbody bdi[dir=ltr]').first();
  await phone.waitFor();
  // Where the plus sign is painted: left of the last digit.
  const places = await phone.evaluate((element) => {
    const text = element.firstChild;
    const at = (place) => {
      const range = document.createRange();
      range.setStart(text, place);
      range.setEnd(text, place + 1);
      return range.getBoundingClientRect().left;
    };
    return [at(0), at(text.length - 1)];
  });
  assert.ok(places[0] < places[1], String(places));
  const nav = await page.getByRole('navigation').boundingBox();
  assert.ok(nav.x > 640, 'the navigation is on the right');
  // Steps begin on the right, and signs that point along the line are turned round.
  await visit(page, '/campaigns/new?list=Spring%20fair&template=eid_offer&language=ar');
  const steps = await page.locator('.mantine-Stepper-step').evaluateAll((all) => all.map((each) => each.getBoundingClientRect().right));
  assert.deepEqual([...steps].sort((one, other) => other - one), steps);
  assert.match(await page.locator('.footacts svg.mirror').first().evaluate((sign) => getComputedStyle(sign).transform), /matrix\(-1/);
  assert.equal(await page.locator('.bubble .text').first().evaluate((text) => getComputedStyle(text).textAlign), 'start');
  // What the server refuses with is said in Arabic, too.
  await visit(page, '/campaigns/1');
  await page.getByRole('button', { name: 'نسخ', exact: true }).click();
  await page.getByRole('dialog').getByRole('textbox').fill('Feria');
  await page.getByRole('dialog').getByRole('button').last().click();
  const refused = page.locator('[data-problem]');
  await refused.getByText('توجد حملة باسم').waitFor();
  assert.equal(await refused.locator('[lang=en]').count(), 0, await refused.textContent());
  await done(page);
});

/** Opens pages in one language and says what axe finds on them in both themes. */
async function walk(language, region, paths) {
  const found = [];
  const look = { preferences: { theme: 'auto', language, region }, colorScheme: 'light' };
  const report = async (page, where) => {
    // Names, roles and order are the same in both themes; colours are not.
    for (const [theme, rules] of [['light'], ['dark', COLOURS]]) {
      await page.emulateMedia({ colorScheme: theme });
      await page.locator(`html[data-mantine-color-scheme=${theme}]`).waitFor();
      // Colours change over a moment, and in it are neither the one nor the other.
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      await page.waitForFunction(() => document.getAnimations().every((each) => !(each instanceof CSSTransition) || each.playState === 'finished'));
      found.push(...(await violations(page, rules)).map((each) => `${where} ${language} ${theme}: ${each}`));
    }
    await page.emulateMedia({ colorScheme: 'light' });
  };
  const out = await openPage(browser, hudhud.url, look);
  await out.locator('h1').waitFor();
  await report(out, 'sign-in');
  await out.context().close();
  const page = await openPage(browser, hudhud.url, { ...look, key: hudhud.adminKey });
  for (const path of paths) {
    await visit(page, path);
    await report(page, path);
  }
  await done(page);
  return found;
}

/** Pages that have every kind of surface between them: looked at on a phone, too. */
const KINDS = ['/', '/campaigns/1', '/opt-outs/import', '/rules', '/messages', '/ledger'];
/** In Arabic, unless at length. */
const IN_ARABIC = [...KINDS, '/lists', '/queue', '/opt-outs', '/accounts'];

test('axe finds nothing on any page that the router has, in English and Arabic, light and dark', { timeout: 900_000 }, async () => {
  // Side by side: axe keeps one core busy with one page.
  const found = await Promise.all([walk('en', 'GB', everyPage()), walk('ar', 'EG', process.env.HUDHUD_LONG ? everyPage() : IN_ARABIC)]);
  assert.deepEqual(found.flat(), []);
});

test('no page is wider than a phone, nor than a screen of 1280 px at 400 %, in either direction of reading', { timeout: 300_000 }, async () => {
  for (const preferences of [{ language: 'en' }, { language: 'ar', region: 'EG' }]) {
    const page = await openPage(browser, hudhud.url, { key: hudhud.adminKey, preferences, viewport: { width: 320, height: 800 } });
    for (const path of everyPage()) {
      await visit(page, path);
      for (const room of [320, 390]) {
        await page.setViewportSize({ width: room, height: 800 });
        const { width, culprit } = await page.evaluate((most) => {
          const wide = [...document.querySelectorAll('main *')].find((each) => each.getBoundingClientRect().width > most && each.closest('.scroll') === null);
          return { width: document.documentElement.scrollWidth, culprit: wide?.outerHTML.slice(0, 160) };
        }, room);
        assert.ok(width <= room, `${path} in ${preferences.language} is ${width} px wide, of ${room}: ${culprit}`);
        // A name takes as many lines as it has words: a table scrolls before it breaks one into letters.
        const torn = await page.evaluate(() => [...document.querySelectorAll('td .break')].find((each) => {
          const words = each.textContent.split(/[\s\-_.@:]+/);
          const lines = Math.round(each.getBoundingClientRect().height / parseFloat(getComputedStyle(each).lineHeight));
          return lines > words.length && words.every(({ length }) => length < 20);
        })?.outerHTML);
        assert.equal(torn, undefined, `${path} in ${preferences.language}`);
        const sides = await page.evaluate(() => [...new Set([...document.querySelectorAll('td.num')].map((each) => getComputedStyle(each).textAlign))]);
        assert.ok(sides.every((side) => side === 'right'), `${path} in ${preferences.language}: units stand under units`);
      }
      // At 390 px.
      if (KINDS.includes(path)) assert.deepEqual(await violations(page), [], `${path} in ${preferences.language} on a phone`);
      await page.setViewportSize({ width: 320, height: 800 });
    }
    await done(page);
  }
});

test('the page that loads everything is kept by the browser, and answers compressed', async () => {
  const first = await fetch(`${hudhud.url}/`, { headers: { accept: 'text/html' } });
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(await first.text())[1];
  const answer = await fetch(`${hudhud.url}${script}`, { headers: { 'accept-encoding': 'br' } });
  assert.equal(answer.headers.get('content-encoding'), 'br');
  assert.match(answer.headers.get('cache-control'), /immutable/);
  assert.match(first.headers.get('content-security-policy'), /default-src 'self'/);
});
