// What a campaign's counts come to. Pure: the same sums that the server's documentation promises.
import type { Campaign, Counts } from './api/client.ts';

/** Sends that may still leave. */
export function waiting(counts: Counts): number {
  return counts.planned + counts.queued + counts.submitting;
}

/** The share of the audience that is dealt with, whatever came of it. */
export function doneShare(campaign: Pick<Campaign, 'total' | 'counts'>): number {
  if (campaign.total === 0) return 0;
  return (campaign.total - waiting(campaign.counts) - campaign.counts.in_doubt) / campaign.total;
}

export type Step = 'audience' | 'accepted' | 'sent' | 'delivered' | 'read';

/** How many people got at least so far. Each state holds only those who got no further. */
export function funnel({ total, counts }: Pick<Campaign, 'total' | 'counts'>): [Step, number][] {
  const read = counts.read;
  const delivered = read + counts.delivered;
  const sent = delivered + counts.sent;
  const accepted = sent + counts.accepted;
  return [['audience', total], ['accepted', accepted], ['sent', sent], ['delivered', delivered], ['read', read]];
}

export interface Sample {
  /** Epoch ms. */
  at: number;
  /** Sends that had left by then. */
  gone: number;
  /** The limit in force then, messages a second. */
  limit: number | null;
}

export interface Point {
  at: number;
  pace: number;
  limit: number | null;
}

export function gone(counts: Counts): number {
  return counts.accepted + counts.sent + counts.delivered + counts.read + counts.failed + counts.in_doubt;
}

/**
 * Messages a second between neighbouring samples. A count that went back (a retry) is no negative pace.
 *
 * Outcomes are written in groups a little after their messages left, and answers come when they come, so that a count
 * can jump by more than the limit lets leave in between. Hudhud keeps to its limits in any sliding second; what is too
 * much for one interval left in those before it, and is counted there. Nothing is lost by that but what would have left
 * before the first sample.
 */
export function paces(samples: Sample[]): Point[] {
  const spans: { at: number; seconds: number; left: number; limit: number | null }[] = [];
  for (let place = 1; place < samples.length; place += 1) {
    const [before, after] = [samples[place - 1] as Sample, samples[place] as Sample];
    const seconds = (after.at - before.at) / 1000;
    // A limit that was just lowered held its higher value for a part of the interval.
    const limit = before.limit === null || after.limit === null ? null : Math.max(before.limit, after.limit);
    if (seconds > 0) spans.push({ at: after.at, seconds, left: Math.max(0, after.gone - before.gone), limit });
  }
  let surplus = 0;
  for (const span of spans.toReversed()) {
    const all = span.left + surplus;
    span.left = span.limit === null ? all : Math.min(all, span.limit * span.seconds);
    surplus = all - span.left;
  }
  return spans.map(({ at, seconds, left, limit }) => ({ at, pace: left / seconds, limit }));
}

/** When the last message would leave at this pace, as epoch ms; nothing when it stands still. */
export function finish(counts: Counts, pace: number, now: number): number | null {
  return pace > 0 && waiting(counts) > 0 ? now + (waiting(counts) / pace) * 1000 : null;
}
