// The pure parts: how numbers and times are written, phones, funnels, previews, and the look at a file's beginning.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { build } from 'vite';

/** A TypeScript module, as the browser would get it. */
async function load(name) {
  const entry = fileURLToPath(new URL(`../src/${name}`, import.meta.url));
  const made = await build({ configFile: false, logLevel: 'silent', build: { write: false, minify: false, lib: { entry, formats: ['es'], fileName: 'module' } } });
  const [{ output }] = [made].flat();
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`);
}

const locale = await load('locale.ts');
const progress = await load('progress.ts');
const template = await load('template.ts');
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

test('a pace is never negative, and without one there is no end', () => {
  assert.deepEqual(progress.paces([{ at: 0, gone: 0 }, { at: 2_000, gone: 160 }, { at: 4_000, gone: 150 }]), [{ at: 2_000, pace: 80 }, { at: 4_000, pace: 0 }]);
  assert.equal(progress.finish(counts, 8, 0), 2_000);
  assert.equal(progress.finish(counts, 0, 0), null);
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
    const bytes = new Uint8Array(readFileSync(new URL(`../../../../fixtures/${file}`, import.meta.url)).subarray(0, csv.BEGINNING));
    const text = new TextDecoder(csv.encodingOf(bytes, 'en')).decode(bytes);
    assert.equal(csv.delimiterOf(text), delimiter, file);
    const [header, ...rows] = csv.rowsOf(text, delimiter, 9);
    const found = csv.guess(header, rows).phone;
    if (phone) assert.equal(found, phone, file);
    else assert.ok(found, file);
  }
});
