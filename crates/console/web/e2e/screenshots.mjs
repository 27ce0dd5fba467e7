// Pictures of every page, in English and Arabic, light and dark, into screenshots/ (not committed): to be looked at.
//   npm run screenshots [-- en.dark … narrow|wide PART-OF-A-NAME …]
import { mkdirSync } from 'node:fs';

import { openPage, startBrowser, startHudhud, visit } from './harness.mjs';
import { PEOPLE, setTheStage } from './stage.mjs';

const OUT = new URL('../screenshots/', import.meta.url).pathname;
const looks = process.argv.slice(2).filter((word) => /^(en|ar|es)\.(light|dark)$/.test(word));
const widths = process.argv.slice(2).filter((word) => /^(narrow|wide)$/.test(word));
const only = process.argv.slice(2).filter((word) => !looks.includes(word) && !widths.includes(word));
const LOOKS = (looks.length > 0 ? looks : ['en.light', 'en.dark', 'ar.light', 'ar.dark']).map((word) => {
  const [language, theme] = word.split('.');
  return { language, theme };
});
const wanted = (name) => only.length === 0 || only.some((part) => name.includes(part));
mkdirSync(OUT, { recursive: true });

/** Somebody who tapped the stop button, once somebody has. */
let tapped = '+20 100 123 4567';
const hudhud = await startHudhud(PEOPLE);
const browser = await startBrowser();
try {
  if (!widths.includes('narrow')) for (const look of LOOKS) await walk(look, { width: 1280, height: 800 }, '', (page, shoot) => shoot('first-run', '/'), 'first-run');
  const { finished, running, paused, draft, recurring, pilot, harmed, large } = await setTheStage(hudhud);
  tapped = (await hudhud.request('GET', '/api/v1/optouts')).items.find(({ source }) => source === 'button')?.phone ?? tapped;
  const pages = [
    ['home', '/'], ['campaigns', '/campaigns'], ['campaign-running', `/campaigns/${running}`, 6_500], ['campaign-finished', `/campaigns/${finished}`], ['campaign-paused', `/campaigns/${paused}`], ['campaign-draft', `/campaigns/${draft}`], ['campaign-recurring', `/campaigns/${recurring}`], ['campaign-pilot', `/campaigns/${pilot}`], ['campaign-harmed', `/campaigns/${harmed}`], ['campaign-two', `/campaigns/${large}`],
    ['lists', '/lists'], ['templates', '/templates'], ['board', '/queue', 6_500], ['in-doubt', '/in-doubt'], ['failed', '/failed'], ['webhooks', '/webhooks'], ['reviews', '/reviews'], ['words', '/words'], ['ledger', '/ledger'], ['opt-outs', '/opt-outs'], ['opt-out-file', '/opt-outs/import'], ['lifts', '/lifts'], ['messages', '/messages'], ['inbox', '/inbox'], ['rules', '/rules'], ['rate-card', '/rate-card'], ['compare', `/campaigns/compare?campaigns=${finished},${running}`], ['left-out', `/campaigns/${finished}/left-out`],
    ['accounts', '/accounts'], ['keys', '/keys'], ['users', '/users'], ['audit', '/audit'], ['missing', '/nowhere'],
  ];
  const all = async (page, shoot) => {
    for (const [name, path, wait] of pages) await shoot(name, path, wait);
    if (wanted('import')) await importing(page, shoot);
    if (wanted('wizard')) await wizard(page, shoot);
    if (wanted('opt-outs-taken')) await taken(page, shoot);
    if (wanted('trial-dialog')) {
      await visit(page, `/campaigns/${running}`);
      await page.locator('.pagehead .acts button', { has: page.locator('svg path[d^="M6.5 4.5"]') }).click();
      await page.getByRole('dialog').locator('button[type=submit]').click();
      await page.getByRole('dialog').locator('dl').waitFor();
      await shoot('trial-dialog', undefined, 1_500);
      await page.keyboard.press('Escape');
    }
    if (wanted('messages-new')) {
      await visit(page, '/messages');
      await page.locator('.pagehead .acts button').click();
      await page.locator('input.mantine-Select-input').first().click();
      await page.getByRole('option').first().click();
      await shoot('messages-new');
    }
    if (wanted('verdict')) {
      await visit(page, '/opt-outs');
      await page.locator('[data-search]').fill('+20 100 123 4567');
      await page.locator('form[role=search] button[type=submit]').click();
      await shoot('verdict');
    }
    if (wanted('person')) await person(page, shoot);
    if (wanted('stop-dialog')) {
      await visit(page, `/campaigns/${running}`);
      await page.locator('.pagehead .acts button').last().click();
      await shoot('stop-dialog', undefined, 600);
    }
    if (wanted('ledger-checked')) {
      await visit(page, '/ledger');
      await page.locator('.card button').first().click();
      await page.locator('.notice').waitFor();
      await shoot('ledger-checked');
    }
    if (wanted('retry-dialog')) {
      await visit(page, `/campaigns/${finished}`);
      await page.locator('.pagehead .acts button').last().click();
      await shoot('retry-dialog', undefined, 600);
    }
  };
  if (!widths.includes('narrow')) for (const look of LOOKS) await walk(look, { width: 1280, height: 800 }, '', all);
  const narrow = async (page, shoot) => {
    for (const [name, path] of pages.filter(([each]) => ['home', 'campaigns', 'rules', 'messages', 'opt-out-file', 'campaign-pilot', 'campaign-running', 'lists', 'board', 'reviews', 'opt-outs', 'lifts', 'ledger', 'accounts'].includes(each))) await shoot(name, path);
    if (wanted('wizard')) await wizard(page, shoot);
    if (wanted('import')) await importing(page, shoot);
    if (wanted('person')) await person(page, shoot);
  };
  if (!widths.includes('wide')) for (const look of LOOKS.filter(({ theme }) => theme === 'light')) await walk(look, { width: 390, height: 844 }, '-390', narrow);
} finally {
  await browser.close();
  await hudhud.stop();
}

async function walk(look, viewport, suffix, does, first) {
  if (first && !wanted(first)) return;
  const region = { ar: 'EG', es: 'ES' }[look.language] ?? 'GB';
  const out = await openPage(browser, hudhud.url, { preferences: { ...look, region }, viewport, colorScheme: look.theme });
  const shooter = (page) => async (name, path, wait = 700) => {
    if (!wanted(name)) return;
    if (path) await visit(page, path);
    await page.waitForTimeout(wait);
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.screenshot({ animations: 'disabled', path: `${OUT}${name}${suffix}.${look.language}.${look.theme}.png`, fullPage: true });
  };
  if (!first && suffix === '') await shooter(out)('sign-in');
  await out.context().close();
  const page = await openPage(browser, hudhud.url, { preferences: { ...look, region }, viewport, colorScheme: look.theme, key: hudhud.adminKey });
  await does(page, shooter(page));
  if (page.complaints.length > 0) console.log(look, page.complaints);
  await page.context().close();
}

async function person(page, shoot) {
  const lookUp = async (who) => {
    await visit(page, '/lists');
    await visit(page, '/person');
    await page.locator('[data-search]').fill(who);
    await page.locator('form[role=search] button[type=submit]').click();
    await page.locator('.notice').first().waitFor();
  };
  await lookUp('0020 100 123 4567');
  await shoot('person-manual');
  await lookUp(tapped);
  await page.locator('.story details').first().evaluate((details) => { details.open = true; });
  await shoot('person');
  await page.locator('.card button', { has: page.locator('svg') }).last().click();
  await shoot('person-erase', undefined, 600);
  await page.keyboard.press('Escape');
  await lookUp('+20 100 999 9999');
  await shoot('person-unknown');
}

async function importing(page, shoot) {
  await visit(page, '/lists/import');
  await shoot('import-1-file');
  await page.locator('input[type=file]').setInputFiles(new URL('../../../../fixtures/egypt.csv', import.meta.url).pathname);
  await page.locator('.footacts').waitFor();
  await page.locator('input[maxlength="200"]').fill('counter at the Cairo fair');
  await page.locator('.card').first().locator('input.mantine-Select-input').last().click();
  await page.getByRole('option', { name: /^(Egypt|مصر|Egipto)$/ }).click();
  await shoot('import-2-match');
  await page.locator('.footacts button').last().click();
  await page.locator('.facts').waitFor();
  await shoot('import-3-check');
  await visit(page, '/lists');
  await visit(page, '/lists/import');
  await page.locator('input[type=file]').setInputFiles(new URL('../../../../fixtures/hostile/cover-first.xlsx', import.meta.url).pathname);
  await page.locator('.footacts').waitFor();
  await shoot('import-2-spreadsheet');
}

async function taken(page, shoot) {
  await visit(page, '/opt-outs/import');
  await page.locator('input[type=file]').setInputFiles({ name: 'twilio.csv', mimeType: 'text/csv', buffer: Buffer.from('contact_id,status,date_of_consent,sender_id\n+201000001234,opt_out,2026-01-05,shop\n+201000001235,opt_in,2026-01-05,shop\nmona@example.com,opt_out,2026-01-05,shop\n12,opt_out,2026-01-05,shop\n') });
  await page.locator('.footacts button').last().click();
  await page.getByRole('dialog').locator('button[type=submit]').click();
  await page.locator('.facts').waitFor();
  await shoot('opt-outs-taken');
}

async function wizard(page, shoot) {
  await visit(page, '/campaigns/new?template=eid_offer&language=en&list=Spring%20fair');
  const next = () => page.locator('.footacts button').last().click();
  await page.locator('input[maxlength="100"]').first().fill(`Weekend ${Math.random().toString(36).slice(2, 6)}`);
  await shoot('wizard-1-template');
  await next();
  await page.locator('.choice input[type=checkbox]').last().waitFor();
  await page.getByText('Hoopoe Cairo').click();
  await shoot('wizard-2-audience');
  await next();
  await shoot('wizard-3-schedule');
  await page.locator('input[type=radio][value=again]').check();
  await page.locator('input[type=checkbox][role=switch]').first().check();
  for (const field of await page.locator('.columns.even').last().locator('input[role=switch]').all()) await field.check();
  await shoot('wizard-3-again');
  await next();
  await page.locator('.facts').waitFor();
  await shoot('wizard-4-check');
}
