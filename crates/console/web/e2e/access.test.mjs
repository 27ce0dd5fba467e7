// Signing in, in a real browser: the first link, a second user's, sessions, and what the audit log says of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { enrol, PASSWORD } from './enrol.mjs';
import { button, openPage, startBrowser, startHudhud, violations, visit } from './harness.mjs';

let hudhud;
let browser;

before(async () => {
  [hudhud, browser] = await Promise.all([startHudhud(), startBrowser()]);
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await hudhud?.stop();
});

test('the first link makes an admin, who invites somebody, and each signs in by what they chose', { timeout: 300_000 }, async () => {
  const page = await openPage(browser, hudhud.url);
  await page.getByRole('heading', { name: 'Sign in to Hudhud' }).waitFor();
  const first = hudhud.link('link');
  await page.goto(`${hudhud.url}${first.pathname}${first.hash}`);
  await page.getByRole('heading', { name: 'Welcome to Hudhud' }).waitFor();
  assert.deepEqual(await violations(page), []);
  // One page, one load: the fragment alone would not load it again.
  await page.goto('about:blank');
  const codes = await enrol(page, hudhud.url, first, 'Mona', 'mona@example.com');
  assert.equal(codes.length, 10);
  assert.deepEqual(await violations(page), []);
  await button(page, 'I have kept them').click();
  await page.getByRole('link', { name: 'Users' }).waitFor();
  assert.equal(page.url(), `${hudhud.url}/`, 'the token is out of the address');
  const cookies = await page.context().cookies();
  assert.deepEqual(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite]), [[true, 'Strict']]);
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script reads the session');

  await visit(page, '/users');
  await button(page, 'Invite').click();
  await page.getByRole('dialog').getByLabel('E-mail address').fill('omar@example.com');
  await page.getByRole('dialog').getByLabel('Operator').check();
  await page.getByRole('dialog').getByRole('button', { name: 'Invite' }).click();
  const link = new URL(await page.getByRole('dialog').locator('code.cmd').textContent());
  await button(page, 'I have kept it').click();
  await page.locator('table tr', { hasText: 'omar@example.com' }).getByText('Invited').waitFor();

  const other = await openPage(browser, hudhud.url);
  await enrol(other, hudhud.url, link, 'Omar');
  await button(other, 'I have kept them').click();
  await other.getByRole('link', { name: 'In doubt' }).waitFor();
  assert.equal(await other.getByRole('navigation').getByRole('link', { name: 'Users' }).count(), 0);
  await other.goto('about:blank');
  await other.goto(`${hudhud.url}${link.pathname}${link.hash}`);
  await other.getByRole('heading', { name: 'This link does not open' }).waitFor();

  await page.getByRole('button', { name: 'Your session' }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByLabel('E-mail address').fill('mona@example.com');
  await page.getByLabel('Password').fill('a wrong password');
  await page.getByLabel('Code').fill(codes[0]);
  await button(page, 'Sign in').click();
  await page.getByText('The address, the password or the code is not right.').waitFor();
  await page.getByLabel('Password').fill(PASSWORD);
  await button(page, 'Sign in').click();
  await page.getByRole('link', { name: 'Audit log' }).click();
  const rows = page.locator('table tbody tr');
  await rows.filter({ hasText: 'user:mona@example.com' }).filter({ hasText: 'Signed in' }).filter({ hasText: 'Refused' }).first().waitFor();
  await rows.filter({ hasText: 'user:mona@example.com' }).filter({ hasText: 'Invited a user' }).first().waitFor();
  assert.deepEqual(await violations(page), []);

  await visit(page, '/you');
  await page.getByText('This one').waitFor();
  await page.getByLabel('Present password').first().fill(PASSWORD);
  await page.getByLabel('Code').first().fill(codes[1]);
  await page.getByLabel('New password').fill('quiet mornings at sea');
  await button(page, 'Change password').click();
  await page.getByText('The password is changed.').waitFor();
  assert.deepEqual(await violations(page), []);
  await button(page, 'Sign out everywhere').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
  await page.getByRole('heading', { name: 'Sign in to Hudhud' }).waitFor();
  assert.deepEqual(page.complaints, []);
  assert.deepEqual(other.complaints, []);
  await page.context().close();
  await other.context().close();
});
