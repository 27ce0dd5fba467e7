// The language files: the same keys in each, the plural forms of each language, and no text that no page shows.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const WEB = new URL('../', import.meta.url).pathname;
const FORMS = { en: ['one', 'other'], ar: ['zero', 'one', 'two', 'few', 'many', 'other'], es: ['one', 'many', 'other'] };
const PLURAL = /_(zero|one|two|few|many|other)$/;

function flat(tree, path = '') {
  return Object.entries(tree).flatMap(([key, value]) => (typeof value === 'string' ? [[`${path}${key}`, value]] : flat(value, `${path}${key}.`)));
}

const texts = Object.fromEntries(Object.keys(FORMS).map((language) => [language, new Map(flat(JSON.parse(readFileSync(join(WEB, `locales/${language}.json`), 'utf8'))))]));
const stems = (language) => new Set([...texts[language].keys()].map((key) => key.replace(PLURAL, '')));
const sources = readdirSync(join(WEB, 'src'), { recursive: true }).filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts')).map((name) => readFileSync(join(WEB, 'src', name), 'utf8')).join('\n');

test('every language has the same keys', () => {
  for (const language of ['ar', 'es']) assert.deepEqual([...stems(language)].sort(), [...stems('en')].sort(), language);
});

test('every plural has exactly the forms of its language, as Intl knows them', () => {
  for (const [language, forms] of Object.entries(FORMS)) {
    assert.deepEqual(new Intl.PluralRules(language).resolvedOptions().pluralCategories.slice().sort(), forms.slice().sort(), language);
    const plurals = new Set([...texts[language].keys()].filter((key) => PLURAL.test(key)).map((key) => key.replace(PLURAL, '')));
    for (const stem of plurals) for (const form of forms) assert.ok(texts[language].has(`${stem}_${form}`), `${language}: ${stem}_${form}`);
    assert.ok(plurals.size > 20, `${language} has ${plurals.size} plurals`);
  }
});

test('a text uses the same values in every language', () => {
  // The singular forms of a language may write the number as a word, and so leave it out.
  const values = (text) => [...text.matchAll(/\{\{(\w+)/g)].map((found) => found[1]).filter((name) => name !== 'count').sort();
  for (const [key, text] of texts.en) {
    for (const language of ['ar', 'es']) {
      const other = texts[language].get(key) ?? texts[language].get(key.replace(PLURAL, '_other'));
      if (other !== undefined) assert.deepEqual(values(other), values(text), `${language}: ${key}`);
    }
  }
});

test('every key that a page asks for is there', () => {
  const asked = [...sources.matchAll(/\bt\(\s*'([\w.-]+)'/g)].map((found) => found[1]);
  assert.ok(asked.length > 400, String(asked.length));
  const known = stems('en');
  for (const key of asked) assert.ok(known.has(key), key);
});

test('no text is kept that no page shows', () => {
  // Keys that are put together end in a code: their part before it must occur in the sources.
  for (const key of stems('en')) {
    const parts = key.split('.');
    const whole = sources.includes(`'${key}'`);
    const composed = parts.some((_, end) => end > 0 && sources.includes(`\`${parts.slice(0, end).join('.')}.\${`));
    const byKind = sources.includes(`useStateOf('${parts[0]}'`);
    assert.ok(whole || composed || byKind, key);
  }
});

test('Arabic and Spanish texts are translated', () => {
  const same = new Set();
  for (const [key, text] of texts.en) if (texts.ar.get(key) === text && /[a-z]{4,}/i.test(text.replace(/\{\{.*?\}\}/g, ''))) same.add(key);
  for (const key of same) assert.match(key, /^import\.encoding\./, `${key} is English in Arabic`);
  const spanish = [...texts.es].filter(([key, text]) => text === texts.en.get(key) && / /.test(text.replace(/\{\{.*?\}\}/g, '').trim()));
  assert.deepEqual(spanish.map(([key]) => key).filter((key) => !key.startsWith('import.encoding.')), []);
});

test('the audit log names every operation that it keeps', () => {
  const { paths } = JSON.parse(readFileSync(join(WEB, 'openapi.json'), 'utf8'));
  // Reads of the server's own list; what else only looks is not kept.
  const onlyLooking = new Set(['campaigns_preflight', 'words_read', 'lists_count', 'imports_recall', 'ledger_verify', 'sessions_look', 'messages_window', 'webhooks_receive', 'uploads_append']);
  const kept = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).filter(([method]) => method !== 'get' || /\/export$|\/rejects$/.test(path)).map(([, { operationId }]) => operationId));
  assert.ok(kept.length > 40, String(kept.length));
  assert.deepEqual(kept.filter((name) => name && !onlyLooking.has(name) && !texts.en.has(`auditAction.${name}`)), []);
});

test('what the API calls a scope of a stop has words', () => {
  for (const kind of ['all', 'marketing', 'brand', 'number']) assert.ok(texts.en.has(`scope.${kind}`), kind);
  for (const why of ['on-the-wire', 'utility', 'other-scope', 'unexplained']) assert.ok(texts.en.has(`person.why.${why}`), why);
});

test('Spanish speaks to its reader as one person throughout', () => {
  const said = JSON.parse(readFileSync(join(WEB, 'locales/said.json'), 'utf8'));
  const spanish = [...texts.es.values(), ...Object.values(said).flatMap(({ es }) => (es ? [es] : []))];
  const formal = /\b(usted|elija|revise|compruebe|corrija|escriba|pruebe|ponga|descargue|inténtelo|mírel[ao]|regístrelo|corríjalo|arréglelo|ábralo|guárdelo)\b/i;
  assert.deepEqual(spanish.filter((text) => formal.test(text)), []);
});
