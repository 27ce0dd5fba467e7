// What a campaign is careful about, as the API takes it and says it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { load } from './load.mjs';

const { askedCare, capOf, careFlaws, harmOf, isCap, MOST_CAP, MOST_FIRST, sizeOf, USUAL_CARE } = await load('care.ts');
const domain = (file) => readFileSync(new URL(`../../../domain/src/${file}`, import.meta.url), 'utf8');

test('nothing is asked for that nobody chose', () => {
  assert.deepEqual(askedCare(USUAL_CARE), {});
  assert.deepEqual(careFlaws({ ...USUAL_CARE, size: '', messages: '' }), []);
});

test('a pilot group and a cap are asked for in the API’s words', () => {
  const care = { ...USUAL_CARE, first: true, size: 2, unit: 'percent', wait: '1h', mostFailed: 4.5, capped: true, messages: 3, days: 14 };
  assert.deepEqual(askedCare(care), { canary: { size: '2%', wait: '1h', most_failed: 4.5, most_opted_out: 2 }, frequency_cap: '3/14d' });
  assert.equal(askedCare({ ...care, size: 100, unit: 'people' }).canary.size, '100');
});

test('what the server would refuse is found before it is asked', () => {
  const first = { ...USUAL_CARE, first: true };
  for (const size of ['', 0, 1.5, 10_001]) assert.deepEqual(careFlaws({ ...first, size }), ['size'], String(size));
  assert.deepEqual(careFlaws({ ...first, size: 51, unit: 'percent' }), ['size']);
  for (const mostFailed of ['', -1, 101]) assert.deepEqual(careFlaws({ ...first, mostFailed }), ['thresholds'], String(mostFailed));
  assert.deepEqual(careFlaws({ ...first, mostFailed: 0, mostOptedOut: 100 }), []);
  for (const days of ['', 0, 367]) assert.deepEqual(careFlaws({ ...USUAL_CARE, capped: true, days }), ['cap'], String(days));
  assert.equal(isCap({ messages: 1_000, days: 366 }), true);
});

test('the limits are the server’s own', () => {
  assert.match(domain('canary.rs'), new RegExp(`people up to ${MOST_FIRST.people}, or as 1% to ${MOST_FIRST.percent}%`));
  assert.match(domain('frequency.rs'), new RegExp(`1 to ${MOST_CAP.messages} messages in 1 to ${MOST_CAP.days} days`));
});

test('what the API says is taken apart', () => {
  assert.deepEqual(capOf('4/7d'), { messages: 4, days: 7 });
  for (const none of [null, undefined, '', 'none']) assert.equal(capOf(none), null);
  assert.deepEqual([sizeOf('100'), sizeOf('1%')], [{ people: 100 }, { share: 0.01 }]);
  const reason = 'The canary failed: 7 of its 100 opted out, more than 2.5 %. Nobody else was written to; `campaign resume` does so anyway.';
  assert.deepEqual(harmOf(reason), { count: 7, of: 100, what: 'optedOut', most: 2.5 });
  assert.equal(harmOf('Wrong discount'), null);
  assert.ok(domain('canary.rs').includes('"{count} of its {} {what}, more than {most} %"'), 'the sentence is still the server’s');
});
