// What is told by a stream, and what happened to a person in its order.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './load.mjs';

const { reader } = await load('stream.ts');
const { isSame, ruling, timeline } = await load('timeline.ts');

test('events are read whole, however the stream is cut, and what is no event is passed over', () => {
  const text = ': alive\n\nevent: queue\ndata: [{"ready":1}]\n\nevent:looked\r\ndata:{}\r\n\r\nevent: broken\ndata: {\n\ndata: {"a":\ndata: 2}\n\n';
  const whole = [{ name: 'queue', data: [{ ready: 1 }] }, { name: 'looked', data: {} }, { name: 'message', data: { a: 2 } }];
  for (let size = 1; size <= text.length; size += 1) {
    const read = reader();
    const told = [];
    for (let at = 0; at < text.length; at += size) told.push(...read(text.slice(at, at + size)));
    assert.deepEqual(told, whole, `in pieces of ${size}`);
  }
});

const NOTHING = { consents: [], messages: [], replies: [], stops: [], exclusions: [], lifts: [] };

test('what happened stands in its order, and what somebody said before what followed from it', () => {
  const proof = {
    ...NOTHING,
    stops: [{ recorded_at: '2026-03-01T10:00:00.000Z' }],
    consents: [{ at: '2026-01-05T00:00:00Z' }],
    replies: [{ at: '2026-03-01T10:00:00Z' }],
    messages: [{ accepted_at: '2026-03-01T09:00:00Z' }, { claimed_at: null }],
    exclusions: [{ at: null }, { at: '2026-03-02T00:00:00+02:00' }],
    lifts: [{ at: '2026-03-01T23:00:00Z' }],
  };
  assert.deepEqual(timeline(proof).map(({ kind }) => kind), ['consent', 'message', 'reply', 'stop', 'exclusion', 'lift']);
});

test('the gravest ruling comes first', () => {
  const verdict = { known: true, erased: false, suppressed: false, consented: true };
  assert.equal(ruling(verdict), 'free');
  assert.equal(ruling({ ...verdict, consented: false }), 'unproven');
  assert.equal(ruling({ ...verdict, suppressed: true, consented: false }), 'stopped');
  assert.equal(ruling({ ...verdict, suppressed: true, erased: true }), 'erased');
  assert.equal(ruling({ ...verdict, known: false, consented: false }), 'unknown');
});

test('a number is the same in whatever form it is typed, and no other is', () => {
  for (const typed of ['+20 100 123 4567', '0020 (100) 123-4567', '٢٠١٠٠١٢٣٤٥٦٧', '201001234567']) assert.ok(isSame(typed, '+201001234567'), typed);
  for (const typed of ['', '+', '1001234567', '+20 100 123 4568', '+2010012345670']) assert.ok(!isSame(typed, '+201001234567'), typed);
});
