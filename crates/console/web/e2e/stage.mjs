// A shop at work, for tests and pictures that need something to show: lists, a finished campaign with failures and
// opt-outs, one that runs slowly, one that is paused, a draft, messages in doubt, a paused number.
import { NUMBER } from './harness.mjs';

export const PEOPLE = {
  people: { delivered_share: 0.96, read_share: 0.7, opt_out_tap_share: 0.05, failed: [{ code: 131026, share: 0.03 }, { code: 130472, share: 0.01 }] },
  faults: { lost_response_share: 0.02 },
  webhook: { sent_ms: { min: 5, max: 40 }, delivered_ms: { min: 20, max: 120 }, read_ms: { min: 40, max: 400 }, reply_ms: { min: 40, max: 300 } },
};

export async function campaign(hudhud, name, { launch = true, ...rest } = {}) {
  const made = await hudhud.request('POST', '/api/v1/campaigns', {
    name, template: 'eid_offer', language: 'en', lists: ['Spring fair'], numbers: [NUMBER], params: { 1: '{name|friend}', 2: '{code|20%}' }, ...rest,
  });
  if (launch) await hudhud.request('POST', `/api/v1/campaigns/${made.id}/launch`, { yes: true });
  return made.id;
}

export async function until(what, ready, patience = 90_000) {
  const deadline = Date.now() + patience;
  while (Date.now() < deadline) {
    const found = await ready();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 150));
  }
  throw new Error(`${typeof what === 'string' ? what : what()}: not within ${patience / 1000} s`);
}

/** A date so many days from now. */
const date = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

export async function setTheStage(hudhud) {
  await hudhud.connect();
  await hudhud.people('Spring fair', 160);
  await hudhud.people('Loyalty club', 110, 100);
  await hudhud.people('معرض القاهرة', 1300, 5000);
  await hudhud.request('POST', '/api/v1/imports?list=Spring%20fair&opt_in_source=till&opt_in_at=2026-01-05T00:00:00Z&file_name=till.csv', 'name,phone\nMona,2.01E+11\nOmar,\nSara,+20 100 123 4567\n', 'text/csv');
  await hudhud.request('POST', `/api/v1/numbers/${NUMBER}/rate`, { rate: 80 });
  const finished = await campaign(hudhud, 'Spring offer');
  let last = '';
  await until(() => `the first campaign (${last})`, async () => {
    const { counts } = await hudhud.request('GET', `/api/v1/campaigns/${finished}`);
    last = JSON.stringify(counts);
    return counts.planned + counts.queued + counts.submitting === 0;
  });
  await hudhud.request('POST', '/api/v1/optouts', { person: '+20 100 123 4567', reason: 'asked at the till' });
  for (const [from, body] of [['+201000000011', 'this is annoying'], ['+201000000012', 'غير مهتم']]) await hudhud.simulated('POST', '/_sim/inbound', { from, act: 'text', text: body });
  await hudhud.request('POST', '/api/v1/words', { phrase: 'basta de promos', means: 'stop' });
  await hudhud.request('POST', '/api/v1/optouts', { person: '+20 100 000 0050', reason: 'by phone' });
  await hudhud.request('POST', '/api/v1/optouts/lifts', { person: '+20 100 000 0050', reason: 'Wrote again on 3 March: wants the spring offers after all' });
  await hudhud.as('nour').request('POST', '/api/v1/optouts/lifts', { person: '+20 100 123 4567', reason: 'طلب الرسائل من جديد عند الصندوق' });
  const running = await campaign(hudhud, 'عرض نهاية الأسبوع', { lists: ['معرض القاهرة'], language: 'ar', rate: 4 });
  const paused = await campaign(hudhud, 'Loyalty points reminder', { lists: ['Loyalty club'], rate: 1 });
  await hudhud.request('POST', `/api/v1/campaigns/${paused}/pause`, { reason: 'Wrong discount in the text' });
  const draft = await campaign(hudhud, 'Autumn preview', { launch: false, lists: ['Loyalty club', 'Spring fair'], quiet_hours: '21:00-09:00', timezone: 'Africa/Cairo', spread: '6h', gaps: 'human', blackouts: [{ dates: `${date(0)}..${date(1)}`, name: 'Eid al-Adha', country: 'EG' }] });
  const recurring = await campaign(hudhud, 'Monday offer', { cron: '0 10 * * 1', timezone: 'Africa/Cairo', audience_guard: 30, latest_start: '2h' });
  const first = { size: '25', wait: '1s', most_failed: 0, most_opted_out: 0 };
  const harmed = await campaign(hudhud, 'Flash sale', { canary: first, rate: 40, frequency_cap: '3/7d' });
  await until('the pilot group took it badly', async () => (await hudhud.request('GET', `/api/v1/campaigns/${harmed}`)).state !== 'running').catch(() => {});
  const pilot = await campaign(hudhud, 'Summer preview', { canary: { size: '10%', wait: '2h' }, rate: 40 });
  await hudhud.request('POST', '/api/v1/rules', { frequency_cap: '4/7d', approval_above: 200, test_numbers: ['+201005550042', '+201005550043'], blackouts: [{ dates: '12-25', name: 'Christmas' }, { dates: `${date(170)}..${date(173)}`, name: 'عيد الأضحى', country: 'EG' }] });
  for (const [key, template] of [['order-1042', 'order_update'], ['order-1043', 'order_update']]) await hudhud.request('POST', '/api/v1/messages', { key, to: '+20 100 000 0009', number: NUMBER, template, language: 'en', params: { first_name: 'Mona', order_id: key } });
  const asked = await campaign(hudhud, 'Cairo, second half', { launch: false, lists: ['معرض القاهرة'] });
  await hudhud.request('POST', `/api/v1/campaigns/${asked}/preflight`);
  const large = await campaign(hudhud, 'Everybody in Cairo', { launch: false, lists: ['معرض القاهرة'] });
  await hudhud.as('sara').request('POST', `/api/v1/campaigns/${large}/approve`);
  await hudhud.request('POST', '/api/v1/numbers/200100000000003/pause', { reason: 'New name is being approved' });
  return { finished, running, paused, draft, recurring, harmed, pilot, large };
}
