// The pure parts: how numbers and times are written, phones, funnels, previews, and the look at a file's beginning.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { load } from './load.mjs';

const locale = await load('locale.ts');
const progress = await load('progress.ts');
const template = await load('template.ts');
const terms = await load('terms.ts');
const csv = await load('csv.ts');
const style = (language, region, digits = 'latn') => ({ language, region, digits });

test('numbers are written as the region wants, and Arabic has Latin digits unless others are chosen', () => {
  assert.equal(locale.number(style('es', 'ES'), 1234567.89), '1.234.567,89');
  assert.equal(locale.number(style('es', 'MX'), 1234567.89), '1,234,567.89');
  assert.equal(locale.number(style('ar', 'EG'), 1234567), '1,234,567');
  assert.equal(locale.number(style('ar', 'EG', 'arab'), 1234567), '١٬٢٣٤٬٥٦٧');
  assert.equal(locale.number(style('en', 'GB', 'arab'), 12), '12');
});

test('years are Gregorian also where another calendar is usual', () => {
  assert.match(locale.time(style('ar', 'SA'), '2026-11-22T12:00:00Z'), /2026/);
  assert.equal(locale.time(style('en', 'GB'), 'never'), 'never');
});

test('a length of time has at most two units', () => {
  // The names of units are the browser's own; the figures are ours.
  const figures = (seconds) => (locale.span(style('en', 'GB'), seconds).match(/\d+/g) ?? []).map(Number);
  assert.deepEqual(figures(0), [0]);
  assert.deepEqual(figures(59.6), [1]);
  assert.deepEqual(figures(125), [2, 5]);
  assert.deepEqual(figures(725), [12]);
  assert.deepEqual(figures(3_725), [1, 2]);
  assert.deepEqual(figures(90_000), [1, 1]);
});

test('a phone number keeps its digits in their order, with the plus sign first', () => {
  for (const number of ['+201001234567', '+34600000400', '+5215512345678']) {
    const shown = locale.phone(number);
    assert.equal(shown.replace(/ /g, ''), number);
    assert.ok(shown.startsWith('+'));
  }
  assert.equal(locale.phone('+201001234567'), '+20 100 123 4567');
  assert.equal(locale.phone('+34600000400'), '+34 600 000 400');
  assert.equal(locale.phone('+971501234567'), '+971 501 234 567');
  assert.equal(locale.phone('EG.1349abc'), 'EG.1349abc');
});

const counts = { planned: 5, queued: 10, submitting: 1, accepted: 2, sent: 3, delivered: 40, read: 30, failed: 4, skipped: 3, in_doubt: 2 };

test('a funnel counts everybody who got at least so far', () => {
  assert.deepEqual(progress.funnel({ total: 100, counts }), [['audience', 100], ['accepted', 75], ['sent', 73], ['delivered', 70], ['read', 30]]);
  assert.equal(progress.waiting(counts), 16);
  assert.equal(progress.doneShare({ total: 100, counts }), 0.82);
  assert.equal(progress.doneShare({ total: 0, counts }), 0);
});

const sample = (at, gone, limit = null) => ({ at, gone, limit });

test('a pace is never negative, and without one there is no end', () => {
  assert.deepEqual(progress.paces([sample(0, 0), sample(2_000, 160), sample(4_000, 150)]), [{ at: 2_000, pace: 80, limit: null }, { at: 4_000, pace: 0, limit: null }]);
  assert.equal(progress.finish(counts, 8, 0), 2_000);
  assert.equal(progress.finish(counts, 0, 0), null);
});

test('a pace is never above its limit because counts came in jumps, and no message of it is lost', () => {
  // Eight a second, seen unevenly: outcomes are written in groups, and polls are late.
  const seen = [sample(0, 0, 8), sample(2_000, 8, 8), sample(4_000, 30, 8), sample(6_100, 46, 8), sample(8_000, 64, 8)];
  const points = progress.paces(seen);
  for (const { pace } of points) assert.ok(pace <= 8, String(pace));
  const sum = points.reduce((all, { pace }, place) => all + (pace * (seen[place + 1].at - seen[place].at)) / 1_000, 0);
  assert.equal(Math.round(sum), 64);
  // A limit that is lowered: what left before was under the higher one.
  const lowered = progress.paces([sample(0, 0, 80), sample(2_000, 160, 80), sample(4_000, 240, 10), sample(6_000, 260, 10)]);
  assert.deepEqual(lowered.map(({ pace }) => pace), [80, 40, 10]);
});

test('a rhythm becomes a crontab line, and a line the rhythm that it is', () => {
  const rhythm = { kind: 'weekly', time: '09:05', days: [4, 1], day: 1, line: '' };
  assert.equal(terms.lineOf(rhythm), '5 9 * * 1,4');
  assert.equal(terms.lineOf({ ...rhythm, days: [] }), null);
  assert.equal(terms.lineOf({ ...rhythm, kind: 'daily' }), '5 9 * * *');
  assert.equal(terms.lineOf({ ...rhythm, kind: 'monthly', day: 31 }), '5 9 31 * *');
  assert.equal(terms.lineOf({ ...rhythm, kind: 'own', line: ' 0  10 * * mon ' }), '0 10 * * mon');
  assert.equal(terms.lineOf({ ...rhythm, kind: 'own', line: '0 10 * *' }), null);
  for (const line of ['5 9 * * 1,4', '5 9 * * *', '0 18 15 * *']) assert.equal(terms.lineOf(terms.rhythmOf(line)), line);
  assert.deepEqual(terms.rhythmOf('0 10 * * MON-FRI').days, [1, 2, 3, 4, 5]);
  assert.deepEqual(terms.rhythmOf('0 10 * * 7').days, [0]);
  for (const line of ['*/5 * * * *', '0 10 1 1 *', '0 10 1 * 1', '0 10 * * 5-1', 'x']) assert.equal(terms.rhythmOf(line).kind, 'own', line);
});

test('of a campaign’s terms the server is told those that were chosen', () => {
  const none = { when: 'now', at: '', rhythm: terms.USUAL_RHYTHM, zone: 'Africa/Cairo', guard: '', latest: '2h', quiet: false, from: '21:00', to: '09:00', blackouts: [], human: false, over: '', unit: 'h', until: '' };
  assert.deepEqual(terms.asked(none), {});
  const feast = { dates: '12-25', name: 'Christmas', country: null };
  assert.deepEqual(terms.asked({ ...none, blackouts: [feast] }), { blackouts: [feast], timezone: 'Africa/Cairo' });
  assert.deepEqual(terms.asked({ ...none, when: 'again', guard: 20, quiet: true, over: 6 }), {
    cron: '0 10 * * 1', audience_guard: 20, latest_start: '2h', quiet_hours: '21:00-09:00', timezone: 'Africa/Cairo', spread: '6h',
  });
  const now = Date.parse('2026-06-01T12:00:00Z');
  const later = { ...none, when: 'later', at: '2026-06-02T10:00' };
  assert.deepEqual(terms.flaws(later, now), []);
  assert.deepEqual(terms.flaws({ ...later, at: '' }, now), ['at']);
  assert.deepEqual(terms.flaws({ ...later, until: '2026-06-02T09:00' }, now), ['until']);
  assert.deepEqual(terms.flaws({ ...none, quiet: true, to: '21:00' }, now), ['quiet']);
  assert.deepEqual(terms.flaws({ ...none, when: 'again', rhythm: { ...terms.USUAL_RHYTHM, days: [] } }, now), ['rhythm']);
});

test('a preview fills columns, takes fallbacks, and shows who would be left out', () => {
  const params = { 1: '{name|friend}', 2: '{code}' };
  const written = (columns) => template.fill('Hi {{1}}, {{2}}!', '', params, columns).map(({ kind, text }) => `${kind}:${text}`);
  assert.deepEqual(written({ name: 'Mona', code: 'A1' }), ['text:Hi ', 'filled:Mona', 'text:, ', 'filled:A1', 'text:!']);
  assert.deepEqual(written({}), ['text:Hi ', 'filled:friend', 'text:, ', 'lost:{code}', 'text:!']);
  assert.equal(template.render('{{a}} {b|c}', {}), '{a} c');
  assert.deepEqual(template.fill('Hi {{1}}', ''), [{ kind: 'text', text: 'Hi ' }, { kind: 'filled', text: '{{1}}' }]);
});

test('a file is looked at as it is written: code page, separator, quoted cells, columns', () => {
  const bytes = (text, from) => new Uint8Array(Buffer.from(text, from));
  assert.equal(csv.encodingOf(bytes('الاسم,رقم', 'utf8'), 'ar'), 'utf-8');
  assert.equal(csv.encodingOf(new Uint8Array([0xc7, 0xe1, 0xc7, 0xd3, 0xe3, 0x2c, 0x31, 0x32, 0x33, 0x34]), 'ar'), 'windows-1256');
  assert.equal(csv.encodingOf(new Uint8Array([0xff, 0xfe, 0x61, 0x00]), 'en'), 'utf-16le');
  assert.equal(csv.delimiterOf('a;b;c\n1;2,5;3\n'), ';');
  assert.deepEqual(csv.rowsOf('\ufeffname,phone\r\n"Ali, ""the"" one","12\n3"\r\n', ',', 5), [['name', 'phone'], ['Ali, "the" one', '12\n3']]);
  assert.deepEqual(csv.guess(['الاسم', 'رقم الموبايل', 'اللغة'], []), { phone: 'رقم الموبايل', language: 'اللغة', name: 'الاسم' });
  assert.deepEqual(csv.guess(['a', 'b'], [['x', '٠١٠٠ ٠٠٠ ١٠٠٠']]), { phone: 'b' });
});

test('the files of made-up people are read as their makers wrote them', () => {
  for (const [file, delimiter, phone] of [['egypt.csv', ',', 'رقم الموبايل'], ['spain-excel.csv', ';', 'Teléfono móvil'], ['saudi-arabia.tsv', '\t', undefined]]) {
    const bytes = new Uint8Array(readFileSync(new URL(`../../../../fixtures/${file}`, import.meta.url)).subarray(0, 64 * 1024));
    const text = new TextDecoder(csv.encodingOf(bytes, 'en')).decode(bytes);
    assert.equal(csv.delimiterOf(text), delimiter, file);
    const [header, ...rows] = csv.rowsOf(text, delimiter, 9);
    const found = csv.guess(header, rows).phone;
    if (phone) assert.equal(found, phone, file);
    else assert.ok(found, file);
  }
});

const importing = await load('importing.ts');
const hostile = (name) => new File([readFileSync(new URL(`../../../../fixtures/hostile/${name}`, import.meta.url))], name);

test('the first rows of a spreadsheet are seen without reading the rest of it', async () => {
  const seen = async (name) => { const { kind, sheets, sheet, header, rows } = await importing.look(hostile(name), 'en'); return [kind, sheets.length > 1 ? sheet : '', header, rows[0]]; };
  assert.deepEqual(await seen('plain.xlsx'), ['book', '', ['phone', 'name'], ['01000000400', 'منى سالم']]);
  assert.deepEqual(await seen('title-above.xlsx'), ['book', '', ['phone', 'name', 'city'], ['01000000410', 'A', 'Cairo']]);
  assert.deepEqual((await seen('cover-first.xlsx')).slice(0, 2), ['book', 'People']);
  assert.deepEqual(await seen('hidden-first.xlsx'), ['book', 'New', ['phone', 'name'], ['01000000412', 'C']]);
  assert.deepEqual((await importing.look(hostile('gaps.xlsx'), 'en')).rows[1], ['01000000417', '', 'Giza']);
  // No header: the columns are named as Hudhud names them.
  const bare = await importing.look(hostile('no-header.xlsx'), 'en');
  assert.deepEqual([bare.header, bare.rows[0], bare.columns.phone], [['column1', 'column2'], ['Mona', '201000000418'], 'column2']);
});

test('a file that only Hudhud can read is left to it, whatever is wrong with it', async () => {
  for (const name of ['plain.xls', 'plain.ods', 'sheet.xlsx.gz', 'broken.xls', 'cut-off.xlsx', 'a-zip.xlsx']) {
    assert.equal((await importing.look(hostile(name), 'en')).kind, 'blind', name);
  }
  const { kind, sheet, header } = await importing.bookOf(await importing.look(hostile('sheet-given.xlsx'), 'en'), 'Two');
  assert.deepEqual([kind, sheet, header[0]], ['book', 'Two', 'phone']);
});

test('an import’s request says what a person said, and leaves the rest to be found out', async () => {
  const choice = { ...(await importing.look(hostile('plain.xlsx'), 'en')), list: ' Fair ', source: 'till', day: '2026-01-05' };
  const query = (part, dryRun = false) => Object.fromEntries(new URL(importing.pathOf({ ...choice, ...part }, { dryRun, language: 'ar', zone: 'Africa/Cairo' }), 'http://x').searchParams);
  assert.deepEqual(query({}), { list: 'Fair', file_name: 'plain.xlsx', opt_in_source: 'till', lang: 'ar', opt_in_at: '2026-01-05T00:00:00Z', map: 'name=name' });
  const told = query({ columns: { phone: 'phone', opt_in_at: 'signed' }, consent: 'column', dates: 'dmy', region: 'EG', sheets: ['a', 'b'], sheet: 'b' }, true);
  assert.deepEqual([told.opt_in_at, told.time_zone, told.date_order, told.region, told.sheet, told.dry_run, told.map], ['@signed', 'Africa/Cairo', 'dmy', 'EG', 'b', 'true', 'phone=phone']);
  assert.equal(importing.isReady(choice, '2026-01-05'), true);
  assert.equal(importing.isReady(choice, '2026-01-04'), false, 'consent of tomorrow');
  assert.equal(importing.isReady({ ...choice, source: ' ' }, '2026-01-05'), false);
});
