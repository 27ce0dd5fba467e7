// The rules of the house and what they do to a campaign: two people for a large one, a few people first, a test on a
// phone of the house; and lists of people who said stop elsewhere.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { button, done, openPage, signedIn, startBrowser, startHudhud, violations, visit } from './harness.mjs';
import { campaign, PEOPLE, until } from './stage.mjs';

const OWN = '+201005550042';
let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud(PEOPLE), startBrowser()]);
  await hudhud.connect();
  await hudhud.people('Spring fair', 120);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

test('compliance sets the rules of the house, and whoever may not sees them', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('compliance', 'nour') });
  await visit(page, '/rules');
  await page.getByRole('switch', { name: 'In force: Two people for large campaigns' }).check();
  await page.getByLabel('Above how many people').fill('100');
  await button(page, 'Save').click();
  await page.getByText('Above 100 people').waitFor();
  await page.getByRole('switch', { name: 'In force: Frequency cap' }).check();
  await button(page, 'Save').click();
  await page.getByText('at most 4 marketing messages in 7 days').waitFor();
  await page.getByLabel('Phone number').fill('12');
  await button(page, 'Add').click();
  await page.locator('[data-problem]').waitFor();
  await page.getByLabel('Phone number').fill('0020 100 555 0042');
  await button(page, 'Add').click();
  await page.getByText('+20 100 555 0042').waitFor();
  // Days on which nothing is sent: every year, for numbers of one country.
  await page.getByLabel('First day').fill('2026-12-24');
  await page.getByLabel('Last day (if there are several)').fill('2026-12-23');
  await page.getByText('The last day is not before the first').waitFor();
  assert.equal(await button(page, 'Add days').isDisabled(), true);
  await page.getByLabel('Last day (if there are several)').fill('2026-12-26');
  await page.getByRole('main').getByLabel('Name', { exact: true }).fill('Christmas');
  await page.getByRole('combobox', { name: 'For numbers of' }).click();
  await page.getByRole('option', { name: 'Mexico' }).click();
  await page.getByLabel('Every year').check();
  await button(page, 'Add days').click();
  await page.getByText(/24.–.26 December, every year/).waitFor();
  assert.deepEqual(await violations(page), []);
  await button(page, /^Take away: Christmas/).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Keep the rule' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByLabel('What it stops: A tapped stop button').selectOption('marketing');
  await page.getByRole('dialog').getByRole('button', { name: 'Change it' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const reaches = (await hudhud.request('GET', '/api/v1/optouts/scopes')).items;
  assert.equal(reaches.find(({ way }) => way === 'button').reach, 'marketing');
  assert.deepEqual(await hudhud.request('GET', '/api/v1/rules'), { frequency_cap: '4/7d', approval_above: 100, test_numbers: [OWN], blackouts: [{ dates: '12-24..12-26', name: 'Christmas', country: 'MX' }] });
  // A rule is taken away only after a question.
  await page.getByRole('switch', { name: 'In force: Frequency cap' }).uncheck();
  await button(page, 'Save').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Keep the rule' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal((await hudhud.request('GET', '/api/v1/rules')).frequency_cap, '4/7d');
  await done(page);
  const viewer = await openPage(browser, hudhud.url, { key: hudhud.key('viewer') });
  await visit(viewer, '/rules');
  await viewer.getByText('Above 100 people').waitFor();
  assert.equal(await viewer.getByRole('switch').count(), 0);
  await done(viewer);
});

test('a large campaign is tried on a phone, approved by a second person, and goes to a few people first', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud);
  await visit(page, '/campaigns/new?list=Spring%20fair&template=eid_offer&language=en');
  await page.getByLabel('Name of the campaign').fill('Large one');
  await button(page, 'Next').click();
  await page.getByText('Hoopoe Cairo').click();
  await button(page, 'Next').click();
  // Everybody lives in Egypt, and has a feast today.
  const today = new Date().toLocaleDateString('sv-SE', { timeZone: 'Africa/Cairo' });
  await page.getByLabel('Leave out days').check();
  await page.getByText('Of the house, for marketing:').waitFor();
  await page.getByLabel('First day').fill(today);
  await page.getByRole('group', { name: 'Add days' }).getByLabel('Name', { exact: true }).fill('Moulid');
  await button(page, 'Add days').click();
  assert.equal(await page.getByLabel('Uneven gaps').isDisabled(), true, 'it has no pace of its own');
  await page.getByLabel('Send to a few people first').check();
  await page.getByLabel('How many', { exact: true }).fill('0');
  await page.getByText('A whole number from 1 to 10,000.').waitFor();
  assert.equal(await button(page, 'Check before sending').isDisabled(), true);
  await page.getByLabel('How many', { exact: true }).fill('20');
  await page.getByLabel('Failed, at most').fill('100');
  await page.getByLabel('Opted out, at most').fill('100');
  await page.getByText('The house’s own cap holds as well: at most 4 marketing messages in 7 days.').waitFor();
  await page.getByLabel('Leave out whoever has had enough lately').check();
  await button(page, 'Check before sending').click();
  await page.getByText('Not approved yet').waitFor();
  await page.getByText('About 120 people, after').waitFor();
  await page.getByText('Moulid').first().waitFor();
  assert.deepEqual(await violations(page), []);
  // Without the feast, and with a pace of its own whose gaps are uneven.
  await button(page, 'Back').click();
  await button(page, /^Take away: Moulid/).click();
  await page.getByLabel('At most, messages a second').fill('90');
  await page.getByLabel('Uneven gaps').check();
  await button(page, 'Check before sending').click();
  await page.getByText('Not approved yet').waitFor();
  assert.equal(await page.getByText('About 120 people, after').count(), 0);
  assert.equal(await button(page, 'Launch').isDisabled(), true);
  await button(page, 'Send a test').click();
  await page.locator('dl .state', { hasText: /Delivered|Read/ }).waitFor();
  const [{ id }] = (await hudhud.request('GET', '/api/v1/campaigns')).items;
  const drafted = await hudhud.request('GET', `/api/v1/campaigns/${id}`);
  assert.deepEqual([drafted.total, drafted.canary.size, drafted.frequency_cap, drafted.gaps, drafted.blackouts], [0, '20', '2/7d', 'human', []], 'the test is not counted');

  // Compliance finds it on the first page, and sees what it would approve; a viewer sees neither.
  const nour = await openPage(browser, hudhud.url, { key: hudhud.key('compliance', 'approver') });
  await visit(nour, '/');
  const waits = nour.locator('.notice', { hasText: 'Waits for a second person’s approval: Large one' });
  await waits.getByRole('link').click();
  await nour.getByText('Will get the message').waitFor();
  await nour.getByText('Not approved yet').waitFor();
  assert.equal(await button(nour, 'Launch').count(), 0);
  assert.deepEqual(await violations(nour), []);
  await done(nour);
  const viewer = await openPage(browser, hudhud.url, { key: hudhud.key('viewer', 'looks') });
  await visit(viewer, `/campaigns/${id}`);
  await viewer.getByText('The check before sending is shown to those who draft or approve campaigns.').waitFor();
  await done(viewer);

  const second = await openPage(browser, hudhud.url, { key: hudhud.key('launcher', 'sara') });
  const approve = async () => {
    await visit(second, '/campaigns');
    await visit(second, `/campaigns/${id}`);
    await button(second, 'Check again').click();
    await button(second, 'Approve').click();
    await second.getByRole('dialog').getByRole('button', { name: 'Approve' }).click();
    await second.getByText('You approved it as it is now.').waitFor();
  };
  await approve();
  // The one who approved is not the one who launches.
  assert.equal(await button(second, 'Launch').isDisabled(), true);
  await button(page, 'Check again').click();
  await page.locator('.cardhead .state', { hasText: 'Approved' }).waitFor();
  // An edit makes another campaign of it.
  await hudhud.request('POST', `/api/v1/campaigns/${id}/rate`, { rate: 60 });
  await visit(page, '/campaigns');
  await visit(page, `/campaigns/${id}`);
  await button(page, 'Check again').click();
  await page.getByText('Not approved yet').waitFor();
  await approve();
  await button(page, 'Check again').click();
  await page.locator('.cardhead .state', { hasText: 'Approved' }).waitFor();
  await button(page, 'Launch').click();
  await page.getByRole('dialog').getByRole('button', { name: /^Send to/ }).click();
  await page.getByText('The pilot group gets it first: 20 people').waitFor();
  await page.getByText(/Waiting for the pilot group: .?20.? people were written to/).first().waitFor();
  await done(page);
  await done(second);
});

test('when the first people took it badly a person decides whether the others get it', { timeout: 300_000 }, async () => {
  await hudhud.request('POST', '/api/v1/rules', { approval_above: null, frequency_cap: null });
  const id = await campaign(hudhud, 'Too loud', { canary: { size: '100', wait: '1s', most_failed: 0, most_opted_out: 0 }, rate: 100 });
  await until('it stands still', async () => (await hudhud.request('GET', `/api/v1/campaigns/${id}`)).state === 'paused');
  const page = await signedIn(browser, hudhud);
  await visit(page, `/campaigns/${id}`);
  await page.getByText(/of the first 100 (messages failed|people opted out): more than 0%/).waitFor();
  assert.equal(await button(page, 'Resume').count(), 0, 'no button that passes the question over');
  assert.deepEqual(await violations(page), []);
  await button(page, 'Send to the others anyway').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Send to the others anyway' }).click();
  await page.locator('.pagehead .state', { hasText: /Running|Finished/ }).waitFor();
  await done(page);
});

test('a list of another program is taken over, with what came of each row', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('compliance', 'taker') });
  await visit(page, '/opt-outs');
  await page.getByRole('link', { name: 'From a file' }).click();
  const rows = ['contact_id,status,date_of_consent,sender_id', '+201000000001,opt_out,2026-01-05,shop', '+201000000002,opt_in,2026-01-05,shop', 'mona@example.com,opt_out,2026-01-05,shop'];
  await page.locator('input[type=file]').setInputFiles({ name: 'twilio.csv', mimeType: 'text/csv', buffer: Buffer.from(rows.join('\n')) });
  await button(page, 'Put them on the list').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Put them on the list' }).click();
  await page.getByText('is on the opt-out list now who was not before.').waitFor();
  await page.getByText('an export of Twilio').waitFor();
  await page.getByText('An e-mail address is no number.').waitFor();
  assert.deepEqual(await violations(page), []);
  const fetched = page.waitForEvent('download');
  await button(page, 'Download them').click();
  assert.equal((await fetched).suggestedFilename(), 'opt-outs-rejects.csv');
  await page.getByRole('main').getByRole('link', { name: 'Opt-out list' }).click();
  await page.locator('tbody tr', { hasText: '+20 100 000 0001' }).getByText('From a file').waitFor();
  const exported = page.waitForEvent('download');
  await button(page, 'Export').click();
  assert.equal((await exported).suggestedFilename(), 'opt-outs.csv');
  // Whom a campaign left out since.
  const id = await campaign(hudhud, 'After the list');
  await visit(page, `/campaigns/${id}/left-out`);
  await page.locator('tbody tr', { hasText: '+20 100 000 0001' }).getByText('Opted out').waitFor();
  await done(page);
});

test('one message is sent and looked up by its key, without its text or its person', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url, { key: hudhud.key('operator', 'omar') });
  await visit(page, '/messages');
  await page.getByText('None yet').waitFor();
  await button(page, 'Send one').click();
  await page.getByRole('combobox', { name: 'Template' }).click();
  await page.getByRole('option', { name: 'eid_offer · English' }).click();
  for (const field of await page.getByLabel(/^Variable/).all()) await field.fill('Mona');
  await page.getByLabel('To whom').fill('+20 100 000 0009');
  await page.getByRole('main').getByLabel('Key').first().fill('order-1042');
  await button(page, 'Send').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Send' }).click();
  await page.locator('dl .state', { hasText: /Delivered|Read|Failed/ }).waitFor();
  assert.equal(await page.getByText('100 000 0009').count(), 0, 'the person is not shown');
  await page.locator('[data-search]').fill('order-1043');
  await page.locator('form[role=search]').getByRole('button').click();
  await page.getByText('There is no message with the key').waitFor();
  await page.locator('[data-search]').fill('order-1042');
  await page.locator('form[role=search]').getByRole('button').click();
  await page.locator('[data-problem]').waitFor({ state: 'detached' });
  await page.locator('tbody tr', { hasText: 'order-1042' }).getByText('eid_offer').waitFor();
  assert.equal(await page.locator('tbody tr', { hasText: 'order-1042' }).count(), 1);
  await done(page);
});

test('an app secret is changed while webhooks of both are taken', { timeout: 300_000 }, async () => {
  const page = await signedIn(browser, hudhud);
  await visit(page, '/accounts');
  await button(page, 'New app secret').click();
  await page.getByRole('dialog').getByLabel('App secret').fill('the-next-secret-of-the-app');
  await button(page, 'Take both for now').click();
  await page.getByText('Two app secrets are taken since').waitFor();
  await button(page, 'Drop the old secret').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Keep both' }).click();
  await page.getByText('Two app secrets are taken since').waitFor();
  await done(page);
});
