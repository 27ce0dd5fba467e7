// Following a one-time link, as a person with an authenticator app does.
import { createHmac } from 'node:crypto';

export const PASSWORD = 'correct horse battery';

/** What an authenticator app shows for this key (RFC 6238). */
function code(key, now = Date.now()) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...key.replaceAll(' ', '')].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(now / 30_000)));
  const tag = createHmac('sha1', secret).update(step).digest();
  return String((tag.readUInt32BE(tag[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** Follows a link to its end; the recovery codes. */
export async function enrol(page, url, link, name, email) {
  await page.goto(`${url}${link.pathname}${link.hash}`);
  if (email) await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Password', { exact: false }).first().fill(PASSWORD);
  await page.getByRole('img', { name: 'QR code for an authenticator app' }).waitFor();
  await page.getByLabel('The six digits that it shows now').fill(code(await page.locator('code.cmd').first().textContent()));
  await page.getByRole('button', { name: 'Finish and sign in', exact: true }).click();
  await page.getByRole('heading', { name: 'Recovery codes' }).waitFor();
  return page.locator('ul.mono li').allTextContents();
}
