// The server's sentences: each that the console can say is word for word in the server's sources, in every language.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { load } from './load.mjs';

const ROOT = new URL('../../../../', import.meta.url).pathname;
const sayings = JSON.parse(readFileSync(new URL('../locales/said.json', import.meta.url), 'utf8'));
const { reader, seconds, translate } = await load('sentences.ts');

/** The string literals of the server's sources, put together where they are broken over lines. */
function literals() {
  const found = [];
  for (const crate of ['domain', 'store', 'engine', 'hudhud']) {
    const dir = join(ROOT, 'crates', crate, 'src');
    for (const name of readdirSync(dir, { recursive: true })) {
      if (!name.endsWith('.rs')) continue;
      const source = readFileSync(join(dir, name), 'utf8').replace(/\\\r?\n\s*/g, '');
      found.push(...[...source.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text.replaceAll('\\"', '"')));
    }
  }
  return found;
}

const sources = literals();
const book = reader(sayings);
const terms = { people: (count) => `${count} people`, state: (code) => ({ finished: 'terminada' })[code] ?? null };
const say = (language, text) => translate(book, { language, region: 'EG', digits: 'latn' }, terms, text);
const bare = (text) => text?.replace(/[\u2066-\u2069]/g, '');

test('every sentence that is translated is one of the server’s, word for word', () => {
  const there = sources.join('\n');
  const lost = Object.keys(sayings).filter((says) => !there.includes(says));
  assert.deepEqual(lost, [], 'the server no longer says this: change or remove it in locales/said.json');
});

test('a translation uses the values of its sentence and no others', () => {
  for (const [says, saying] of Object.entries(sayings)) {
    const values = (says.replaceAll('{{', '').replaceAll('}}', '').match(/\{[^{}]*\}/g) ?? []).length;
    assert.ok(saying.ar && saying.es, says);
    for (const [language, text] of Object.entries(saying)) {
      for (const [, place] of text.matchAll(/\{(\d)\}/g)) assert.ok(Number(place) < values, `${language}: ${text}`);
      assert.doesNotMatch(text, /hudhud (account|campaign|number|list|imports|words|template) |--[a-z]/, `${language}: a command in ${text}`);
    }
    assert.match(saying.ar, /\p{Script=Arabic}/u, says);
  }
});

test('a sentence is said in the reader’s language, its numbers, times and lengths too', () => {
  assert.equal(say('es', 'Nobody would get the message.'), 'Nadie recibiría el mensaje.');
  assert.equal(say('en', 'Nobody would get the message.'), 'Nobody would get the message.');
  assert.equal(bare(say('es', 'There is no list "Feria de \\"abril\\"".')), 'No hay ninguna lista «Feria de \\"abril\\"».');
  assert.equal(bare(say('en', 'waiting for 09:00 in Cairo: 4,210 people')), 'Waiting for 09:00 in Cairo: 4210 people');
  assert.match(bare(say('ar', 'waiting for Wed 10:30 UTC to try 12 people again')), /الأربعاء 10:30/);
  assert.match(bare(say('es', 'waiting for 09:00 in Cairo: 4,210 people, then waiting for 09:00 in Madrid: 1 person')), /09:00 en Cairo: 4210 people; a la espera de las 09:00 en Madrid: 1 people$/);
  assert.match(bare(say('es', 'The offer ended at 2026-03-01T10:00:00Z.')), /^La oferta terminó el .*2026/);
  assert.match(bare(say('es', 'the campaign\'s spread over 6h: 0.35 messages a second')), /6 h: 0,35 mensajes/);
});

test('what the server puts together of several sentences is said in parts', () => {
  const limits = "the portfolio's messaging limit: 10,000 people in 24 hours; 200100000000001: 80 messages a second";
  assert.match(bare(say('es', limits)), /^el límite de mensajes del portafolio: 10.000 personas en 24 horas; el número 200100000000001: 80 mensajes por segundo$/);
  const refused = 'Meta refuses the access token. Give the account a new one with `hudhud account rotate` (Meta\'s code 190).';
  assert.equal(bare(say('en', `The account is stopped: ${refused}`)), 'The account is stopped: Meta refuses the access token. Give the account a new one (Meta 190).');
  assert.equal(bare(say('es', 'the campaign is finished, so it cannot be paused.')), 'la campaña está terminada, así que no puede pasar a paused');
  assert.match(bare(say('ar', refused)), /رمز الوصول.*Meta 190/);
});

test('what nobody knows is left as it is', () => {
  for (const text of ['Wrong discount in the text', 'New name is being approved', 'paused', '']) assert.equal(say('ar', text), null, text);
});

test('a length of time as the server writes it', () => {
  assert.equal(seconds('1h30m'), 5_400);
  assert.equal(seconds('2d'), 172_800);
  assert.equal(seconds('soon'), null);
});

test('most of what the server refuses with is translated', (t) => {
  // What a person can meet in the console: the words of faults, and of what is kept and to be done.
  const met = new Set();
  for (const dir of ['engine/src', 'hudhud/src/http']) {
    for (const name of readdirSync(join(ROOT, 'crates', dir), { recursive: true })) {
      if (!name.endsWith('.rs') || /tests|testing/.test(name)) continue;
      const source = readFileSync(join(ROOT, 'crates', dir, name), 'utf8').split('#[cfg(test)]')[0].replace(/\\\r?\n\s*/g, '');
      for (const [, text] of source.matchAll(/(?:Fault::\w+|\.action|\.kept)\(\s*(?:format!\(\s*)?"((?:[^"\\]|\\.)*)"/g)) met.add(text.replaceAll('\\"', '"'));
    }
  }
  const without = [...met].filter((text) => !(text in sayings));
  t.diagnostic(`${met.size - without.length} of ${met.size}; without: ${without.join(' | ')}`);
  assert.ok(without.length < met.size / 2, `${without.length} of ${met.size}`);
});
