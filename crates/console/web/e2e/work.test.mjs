// A marketer's, an operator's and an auditor's work in a real browser: without a mouse, with a large file, with what
// recurs, fails, breaks off or is doubtful.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';

import { button, done, signedIn, startBrowser, startHudhud, visit } from './harness.mjs';
import { campaign, PEOPLE, until } from './stage.mjs';

const ROWS = 200_000;
/** Of the file that breaks off: all of them at length, since each is written by the unoptimised executable. */
const IN_A_FILE = process.env.HUDHUD_LONG ? ROWS : 50_000;
let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud(PEOPLE), startBrowser()]);
  await hudhud.connect();
  await hudhud.people('Spring fair', 60);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

/** In the page: whether what has the focus looks other than the same thing without it. */
function isSeen() {
  const at = document.activeElement;
  const bare = at.cloneNode(false);
  for (const name of ['id', 'name', 'tabindex']) bare.removeAttribute(name);
  at.after(bare);
  const [one, other] = [getComputedStyle(at), getComputedStyle(bare)];
  const differs = ['outlineStyle', 'outlineWidth', 'boxShadow', 'borderTopColor', 'backgroundColor'].some((name) => one[name] !== other[name]);
  bare.remove();
  return differs;
}

/** Presses Tab until the element with that name and role has the focus, as somebody without a mouse does. */
async function tabTo(page, name, role) {
  for (let presses = 0; presses < 80; presses += 1) {
    const found = await page.evaluate(() => {
      const at = document.activeElement;
      if (!at || at === document.body) return null;
      const label = at.getAttribute('aria-label') ?? [...(at.labels ?? [])].map((each) => each.textContent).join(' ');
      return { name: (label || at.textContent || '').trim(), role: at.getAttribute('role') ?? at.getAttribute('type') ?? at.tagName.toLowerCase() };
    });
    if (found && found.name.includes(name) && (role === undefined || found.role === role)) {
      await until(`${name}: the focus is to be seen`, () => page.evaluate(isSeen), 5_000);
      return;
    }
    await page.keyboard.press('Tab');
  }
  assert.fail(`no ${role ?? 'element'} “${name}” within 80 presses of Tab`);
}

test('a campaign is made, checked and launched with the keyboard alone', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud);
  await page.locator('h1').waitFor();
  const { keyboard } = page;
  await keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to content', 'the first stop leads past the navigation');
  await keyboard.press('g');
  await keyboard.press('c');
  await page.waitForURL(/\/campaigns$/);
  await keyboard.press('n');
  await page.waitForURL(/\/campaigns\/new$/);
  await page.getByLabel('Name of the campaign').waitFor();
  await tabTo(page, 'Name of the campaign');
  await keyboard.type('By keyboard');
  await tabTo(page, 'Template', 'combobox').catch(() => tabTo(page, 'Template'));
  await keyboard.type('eid_offer · English');
  await keyboard.press('ArrowDown');
  await keyboard.press('Enter');
  await page.getByText('Stop promotions').first().waitFor();
  await tabTo(page, 'Next');
  await keyboard.press('Enter');
  await tabTo(page, 'Spring fair', 'checkbox');
  await keyboard.press('Space');
  await tabTo(page, 'Hoopoe Cairo', 'checkbox');
  await keyboard.press('Space');
  await tabTo(page, 'Next');
  await keyboard.press('Enter');
  await tabTo(page, 'Check before sending');
  await keyboard.press('Enter');
  await page.getByText('Will get the message').waitFor();
  await tabTo(page, 'Launch');
  await keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  // Escape closes, and the focus is where it was.
  await keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await until('the focus is back', () => page.evaluate(() => document.activeElement?.textContent === 'Launch'), 5_000);
  await keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await tabTo(page, 'Send to 60 people');
  await keyboard.press('Enter');
  await page.waitForURL(/\/campaigns\/\d+$/);
  await page.locator('.pagehead .state', { hasText: /Running|Finished/ }).waitFor();
  await done(page);
});

test('people are imported in four steps with the keyboard alone', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud);
  // The browser hands its file choosers over from here on, and not only from some time after the key was pressed.
  page.on('filechooser', () => undefined);
  await page.locator('h1').waitFor();
  const { keyboard } = page;
  await keyboard.press('g');
  await keyboard.press('l');
  await page.waitForURL(/\/lists$/);
  await tabTo(page, 'Import people');
  await keyboard.press('Enter');
  await page.waitForURL(/\/lists\/import$/);
  await tabTo(page, 'Choose a file');
  const chooser = page.waitForEvent('filechooser');
  await keyboard.press('Enter');
  await (await chooser).setFiles({ name: 'keys.csv', mimeType: 'text/csv', buffer: Buffer.from('name,phone\nMona,0100 555 0301\nOmar,+20 100 555 0302\nNobody,\n') });
  await page.getByText('First rows of the file').first().waitFor({ state: 'attached' });
  await tabTo(page, 'Country of numbers without a country code');
  await keyboard.type('Egypt');
  await keyboard.press('ArrowDown');
  await keyboard.press('Enter');
  await tabTo(page, 'Where did they opt in?');
  await keyboard.type('counter');
  await tabTo(page, 'Day of consent', 'date');
  await keyboard.type('05052026');
  await tabTo(page, 'Check the file');
  await keyboard.press('Enter');
  await page.getByText('Rows that are wrong').first().waitFor();
  await tabTo(page, 'Import 2 people');
  await keyboard.press('Enter');
  await page.getByText('Nothing was sent.').waitFor();
  await tabTo(page, 'Undo import');
  await keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await until('the focus is back', () => page.evaluate(() => document.activeElement?.textContent === 'Undo import'), 5_000);
  await tabTo(page, 'Use in a campaign');
  await keyboard.press('Enter');
  await page.waitForURL(/\/campaigns\/new/);
  await done(page);
});

test('a campaign recurs by the clock of its zone, leaves people in peace, and says both in words', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud, { timezoneId: 'America/Mexico_City' });
  await visit(page, '/campaigns/new?list=Spring%20fair&template=eid_offer&language=en');
  await page.getByLabel('Name of the campaign').fill('Every Monday');
  await button(page, 'Next').click();
  await page.locator('.headline', { hasText: /^[1-9]\d* people$/ }).waitFor();
  const everybody = await page.locator('.headline').textContent();
  await page.getByLabel('Other conditions').fill('city = Giza');
  await page.getByText('Not meant by the conditions').waitFor();
  await page.getByLabel('Other conditions').fill('city =');
  await page.getByText('The filter cannot be read').waitFor();
  await page.getByLabel('Other conditions').fill('city = Cairo');
  await page.locator('.headline', { hasText: everybody }).waitFor();
  await page.getByText('Hoopoe Cairo').click();
  await button(page, 'Next').click();
  await page.getByLabel('Again and again').check();
  await page.getByText(/Every Monday at .?10:00/).waitFor();
  await page.getByRole('checkbox', { name: 'Thursday' }).check();
  await page.getByText(/Every Monday and Thursday at .?10:00/).waitFor();
  await page.getByRole('combobox', { name: 'By the clock of' }).fill('Africa/Cairo');
  await page.getByRole('option', { name: 'Africa/Cairo' }).click();
  await page.getByLabel('Leave people in peace at night').check();
  await page.getByLabel('Spread evenly over').fill('2');
  await button(page, 'Check before sending').click();
  await page.locator('.runs li').first().waitFor();
  const runs = await page.locator('.runs li').allTextContents();
  assert.equal(runs.length, 5);
  for (const run of runs) assert.match(run, /^(Monday|Thursday), .* 10:00$/, 'by the clock of Cairo, wherever the reader is');
  await page.getByText(/spread over 2 hrs/).waitFor();
  await page.getByText('Nobody gets it between').waitFor();
  // The step of that name comes before the button.
  await button(page, 'Schedule').last().click();
  await page.getByRole('dialog').getByRole('button', { name: 'Schedule' }).click();
  await page.locator('.pagehead .state', { hasText: 'Scheduled' }).waitFor();
  await page.getByText('Its runs so far').waitFor();
  await page.getByText('21:00-09:00').waitFor();
  await done(page);
});

test('what failed is tried again as a draft, a campaign is copied, and its pace changed while it runs', { timeout: 300_000 }, async () => {
  const gone = await campaign(hudhud, 'With failures');
  await until('its end', async () => (await hudhud.request('GET', `/api/v1/campaigns/${gone}`)).state === 'finished' || (await hudhud.request('GET', `/api/v1/campaigns/${gone}`)).counts.failed > 0);
  const page = await signedIn(browser, hudhud);
  await visit(page, '/failed');
  await page.getByText('131026').first().waitFor();
  await page.getByRole('button', { name: 'Retry failed: With failures' }).first().click();
  await page.getByRole('dialog').getByRole('button', { name: /^Draft for/ }).click();
  await page.getByText('Follows from').waitFor();
  await visit(page, `/campaigns/${gone}`);
  await button(page, 'Copy').click();
  await page.getByRole('dialog').getByLabel('Name of the campaign').fill('With failures again');
  await button(page, 'Make the copy').click();
  await page.getByRole('heading', { level: 1, name: 'With failures again' }).waitFor();
  const slow = await campaign(hudhud, 'Slow one', { rate: 1 });
  await visit(page, `/campaigns/${slow}`);
  await button(page, 'Change pace').click();
  await page.getByRole('textbox', { name: 'messages a second, at most' }).fill('40');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal((await hudhud.request('GET', `/api/v1/campaigns/${slow}`)).rate, 40);
  await done(page);
});

test('a doubtful message is read and decided by a person, and a phrase of the operator’s own is tried', { timeout: 300_000 }, async () => {
  for (const [from, text] of [['+201000000011', 'this is annoying'], ['+201000000012', 'not interested']]) await hudhud.simulated('POST', '/_sim/inbound', { from, act: 'text', text });
  const page = await signedIn(browser, hudhud);
  await visit(page, '/reviews');
  await page.getByText('this is annoying').waitFor();
  await page.getByText('not interested').waitFor();
  await page.locator('tr', { hasText: 'this is annoying' }).getByRole('button', { name: 'It means stop' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('read by Mona');
  await page.getByRole('dialog').getByRole('button', { name: 'It means stop' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.locator('tr', { hasText: 'not interested' }).getByRole('button', { name: 'It does not' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('meant that offer');
  await page.getByRole('dialog').getByRole('button', { name: 'It does not' }).click();
  await page.getByText('Nothing to read').waitFor();
  await visit(page, '/opt-outs');
  await page.locator('tbody tr', { hasText: '+20 100 000 0011' }).waitFor();
  assert.equal(await page.locator('tbody tr', { hasText: '+20 100 000 0012' }).count(), 0);
  await visit(page, '/words');
  const phrase = page.getByLabel('Phrase');
  await phrase.fill('basta de promos');
  await button(page, 'Add').click();
  await page.locator('tbody tr', { hasText: 'basta de promos' }).waitFor();
  await page.getByLabel('What somebody writes').fill('Basta de PROMOS!');
  await button(page, 'Read it').click();
  await page.locator('dl .state', { hasText: 'Stop' }).first().waitFor();
  await visit(page, '/webhooks');
  await page.locator('tbody tr .state').first().waitFor();
  await done(page);
});

test('a spreadsheet is seen before it is sent, imported, and taken back', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud);
  await visit(page, '/lists/import');
  await page.locator('input[type=file]').setInputFiles(new URL('../../../../fixtures/hostile/cover-first.xlsx', import.meta.url).pathname);
  await page.getByText('منى سالم').waitFor();
  assert.equal(await page.getByRole('combobox', { name: 'Sheet' }).inputValue(), 'People');
  await page.getByRole('combobox', { name: 'Country of numbers without a country code' }).fill('Egypt');
  await page.getByRole('option', { name: 'Egypt' }).click();
  await page.getByRole('textbox', { name: 'List' }).or(page.getByRole('combobox', { name: 'List' })).fill('From a sheet');
  await page.getByLabel('Where did they opt in?').fill('counter');
  await page.locator('input[type=date]').fill('2026-01-05');
  await button(page, 'Check the file').click();
  await page.getByText('How the file was read').waitFor();
  await page.getByText('XLSX').waitFor();
  await button(page, 'Import 2 people').click();
  await page.getByText('Nothing was sent.').waitFor();
  await button(page, 'Undo import').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Undo import' }).click();
  await page.getByText('Drop a CSV file').waitFor();
  const lists = (await hudhud.request('GET', '/api/v1/lists')).items;
  assert.equal(lists.find(({ name }) => name === 'From a sheet')?.members ?? 0, 0);
  await done(page);
});

test(`a file of ${IN_A_FILE} rows that broke off is taken up again, with its progress on every page, and nobody is doubled`, { timeout: 600_000 }, async () => {
  const rows = Array.from({ length: IN_A_FILE }, (_, place) => `Person ${place},+2011${String(place).padStart(8, '0')},Cairo`);
  const file = Buffer.from(['name,phone,city', ...rows].join('\n'));
  // A tab that was closed in the middle of it.
  await new Promise((over) => {
    const url = new URL('/api/v1/imports?list=Large&file_name=large.csv&opt_in_source=counter&opt_in_at=2026-01-05T00:00:00Z', hudhud.url);
    const half = request(url, { method: 'POST', headers: { authorization: `Bearer ${hudhud.adminKey}`, 'content-type': 'text/csv', 'content-length': file.length } });
    half.on('error', () => over());
    half.write(file.subarray(0, file.length / 2), () => setTimeout(() => half.destroy(), 500));
  });
  await until('it is known to be broken off', async () => (await hudhud.request('GET', '/api/v1/imports')).items[0].state !== 'running', 60_000);
  const page = await signedIn(browser, hudhud);
  await visit(page, '/lists');
  await page.getByRole('link', { name: 'Choose the file again' }).click();
  await page.getByText('Taking up again').waitFor();
  await page.locator('input[type=file]').setInputFiles({ name: 'large.csv', mimeType: 'text/csv', buffer: file });
  assert.equal(await page.getByLabel('Where did they opt in?').inputValue(), 'counter', 'what was said of it before');
  await button(page, 'Check the file').click();
  await button(page, `Import ${IN_A_FILE.toLocaleString('en-GB')} people`).click({ timeout: 300_000 });
  // Another page meanwhile, and back.
  await visit(page, '/lists');
  await visit(page, '/lists/import');
  await page.getByText('Nothing was sent.').waitFor({ timeout: 300_000 });
  const [last] = (await hudhud.request('GET', '/api/v1/imports')).items;
  assert.deepEqual([last.state, last.rows, last.accepted, last.duplicates], ['done', IN_A_FILE, IN_A_FILE, 0]);
  const large = (await hudhud.request('GET', '/api/v1/lists')).items.find(({ name }) => name === 'Large');
  assert.equal(large.members, IN_A_FILE);
  await done(page);
});

test(`a table of ${ROWS} rows keeps fewer than a hundred of them in the document`, { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud);
  const items = Array.from({ length: ROWS }, (_, id) => ({ id, phone: `+2012${String(id).padStart(8, '0')}`, scope: 'all', since: '2026-01-05T10:00:00Z', source: 'text' }));
  const body = JSON.stringify({ items });
  await page.route('**/api/v1/optouts?**', (route) => route.fulfill({ contentType: 'application/json', body }));
  await visit(page, '/opt-outs');
  const box = page.getByRole('region', { name: 'Everybody on the list' });
  await box.getByText('+20 120 000 0000').waitFor();
  const inDocument = () => box.locator('tbody tr[data-index]').count();
  assert.ok((await inDocument()) < 100, String(await inDocument()));
  await box.evaluate((element) => { element.scrollTop = element.scrollHeight; });
  await box.getByText('+20 120 019 9999').waitFor();
  assert.ok((await inDocument()) < 100, String(await inDocument()));
  assert.equal(await box.locator('table').getAttribute('aria-rowcount'), String(ROWS + 1));
  await done(page);
});
