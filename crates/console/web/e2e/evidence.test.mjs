// What whoever answers for consent does in a real browser: the evidence about a person, documents, lifts by two, erasing,
// and the ledger with who looked.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { button, done, openPage, startBrowser, startHudhud, violations, visit } from './harness.mjs';
import { campaign, PEOPLE, until } from './stage.mjs';

const PERSON = '+20 100 000 0007';
let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud({ ...PEOPLE, people: { ...PEOPLE.people, failed: [], opt_out_tap_share: 0 } }), startBrowser()]);
  await hudhud.connect();
  await hudhud.people('Spring fair', 20);
  const id = await campaign(hudhud, 'Spring offer');
  await until('its end', async () => (await hudhud.request('GET', `/api/v1/campaigns/${id}`)).counts.read > 0);
  await hudhud.simulated('POST', '/_sim/inbound', { from: PERSON.replaceAll(' ', ''), act: 'text', text: 'STOP' });
  await until('the stop', async () => (await hudhud.request('POST', '/api/v1/optouts/check', { person: PERSON })).suppressed);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

async function lookUp(page, person) {
  await page.locator('[data-search]').fill(person);
  await button(page, 'Look up').click();
  await page.locator('.notice .strong').first().waitFor();
}

test('a person’s evidence begins with the verdict, tells what happened in its order, and leaves as documents', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('compliance') });
  await page.getByRole('navigation').getByRole('link', { name: 'Evidence' }).click();
  await lookUp(page, '0020 (100) 000-0007');
  const verdict = page.locator('.notice').first();
  await verdict.getByText('May not get marketing').waitFor();
  await verdict.getByText('Wrote a stop word').waitFor();
  await verdict.getByText('No message followed the stop.').waitFor();
  const story = await page.locator('.story > li .line .strong').allTextContents();
  assert.deepEqual([story[0], story[1], story.at(-1)], ['Agreed to messages', 'A message', 'Said stop']);
  await page.locator('.story .bad').getByText('STOP').first().waitFor();
  await page.getByText('The signed event, as it came').click();
  await page.locator('pre.raw').getByText('STOP').waitFor();
  await page.locator('.story').getByText('test form').waitFor();
  await page.locator('table', { hasText: 'Consents of a file' }).waitFor();
  assert.deepEqual(await violations(page), []);
  for (const [name, ending, holds] of [['Proof as JSON', 'json', '"hudhud proof 1"'], ['Everything held, as JSON', 'json', '"hudhud person 1"']]) {
    const [file] = await Promise.all([page.waitForEvent('download'), button(page, name).click()]);
    assert.ok(file.suggestedFilename().endsWith(ending));
    assert.ok(!file.suggestedFilename().includes('0007'), 'no number in the name of a file');
    assert.ok(readFileSync(await file.path(), 'utf8').includes(holds));
  }
  const [tab] = await Promise.all([page.waitForEvent('popup'), button(page, 'Open the proof, to print').click()]);
  await tab.locator('h1').waitFor();
  await tab.getByText('STOP').first().waitFor();
  await tab.close();
  await lookUp(page, '+20 100 999 0000');
  await page.getByText('Nothing is held of this person').waitFor();
  assert.equal(page.url(), `${hudhud.url}/person`, 'no number in the address');
  await done(page);
});

test('a block is lifted by two people, and whoever asked does not decide', { timeout: 300_000 }, async () => {
  const [one, two] = await Promise.all([hudhud.key('compliance', 'nour'), hudhud.key('compliance', 'salma')].map((key) => openPage(browser, hudhud.url, { key })));
  await visit(one, '/opt-outs');
  await lookUp(one, PERSON);
  await button(one, 'See the evidence').click();
  await one.locator('h1', { hasText: 'Evidence about a person' }).waitFor();
  await button(one, 'Ask to lift the block').click();
  await one.getByRole('dialog').getByLabel('Reason').fill('wrote a letter, 3 March');
  await one.getByRole('dialog').getByRole('button', { name: 'Ask to lift the block' }).click();
  await one.getByRole('dialog').waitFor({ state: 'detached' });
  await visit(one, '/lifts');
  await one.getByText('Somebody else must decide').waitFor();
  assert.equal(await button(one, 'Approve').count(), 0);
  await visit(two, '/lifts');
  await two.getByText('wrote a letter, 3 March').waitFor();
  await two.getByText('key:nour').waitFor();
  assert.deepEqual(await violations(two), []);
  await button(two, 'Approve').click();
  await two.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
  await two.getByText('Nobody waits').waitFor();
  assert.equal((await hudhud.request('POST', '/api/v1/optouts/check', { person: PERSON })).suppressed, false);
  await visit(one, '/person');
  await lookUp(one, PERSON);
  await one.getByText('The block was lifted').waitFor();
  await done(one);
  await done(two);
});

test('nobody is erased by a slip: a reason and the number itself are typed, and a certificate is left', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.adminKey });
  await visit(page, '/person');
  await lookUp(page, '+20 100 000 0009');
  await page.getByText('May be messaged').waitFor();
  await button(page, 'Erase this person').click();
  const dialog = page.getByRole('dialog');
  assert.deepEqual(await violations(page), []);
  const yes = dialog.getByRole('button', { name: 'Erase for good' });
  await dialog.getByLabel('Reason').fill('asked by letter');
  assert.equal(await yes.isDisabled(), true);
  await dialog.getByLabel('Type the number').fill('+20 100 000 0008');
  await dialog.getByText('This is another number.').waitFor();
  assert.equal(await yes.isDisabled(), true);
  await dialog.getByLabel('Type the number').fill('0020 100 000 0009');
  await yes.click();
  await page.getByText('Certificate of erasure').waitFor({ timeout: 60_000 });
  const [file] = await Promise.all([page.waitForEvent('download'), button(page, 'Download').click()]);
  const certificate = JSON.parse(readFileSync(await file.path(), 'utf8'));
  assert.equal(certificate.erased, true);
  assert.equal(JSON.stringify(certificate).includes('1000000009'), false, 'the certificate does not name whom it is about');
  await lookUp(page, '+20 100 000 0009');
  await page.getByText('Erased, and never messaged again').waitFor();
  await done(page);
});

test('the ledger says how its last check ended, what was signed, what left after a stop, and who looked', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('compliance', 'auditor') });
  await visit(page, '/ledger');
  await button(page, 'Verify now').click();
  await page.getByText('every link holds').waitFor();
  await button(page, 'Look now').click();
  await page.getByText(/^None, in \d+ campaign/).waitFor();
  await button(page, 'Sign the head').click();
  await page.getByRole('region', { name: 'Signed heads' }).locator('tbody tr').first().waitFor();
  const looks = page.getByRole('region', { name: 'Who looked' }).locator('tbody tr');
  await looks.filter({ hasText: 'key:auditor' }).filter({ hasText: 'Looked for messages after a stop' }).waitFor();
  assert.deepEqual(await violations(page), []);
  const [file] = await Promise.all([page.waitForEvent('download'), button(page, 'Download').click()]);
  assert.ok(readFileSync(await file.path(), 'utf8').length > 0);
  await done(page);
});
