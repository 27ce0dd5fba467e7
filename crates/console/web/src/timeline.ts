// What happened to one person, in the order in which it happened. Pure: made of a proof as the API gives it.
import type { Proof } from './api/client.ts';

export type Happening =
  | { kind: 'consent'; at: string; of: Proof['consents'][number] }
  | { kind: 'message'; at: string; of: Proof['messages'][number] }
  | { kind: 'reply'; at: string; of: Proof['replies'][number] }
  | { kind: 'stop'; at: string; of: Proof['stops'][number] }
  | { kind: 'exclusion'; at: string; of: Proof['exclusions'][number] }
  | { kind: 'lift'; at: string; of: Proof['lifts'][number] };

/** At the same moment, what somebody said comes before what followed from it. */
const FIRST: Happening['kind'][] = ['consent', 'message', 'reply', 'stop', 'exclusion', 'lift'];

/**
 * Consents, messages, replies, stops, exclusions and lifts by their time. A message stands where it was taken by Meta,
 * or tried; what has no time at all (an exclusion found as the audience was planned, a message that waits) is left out.
 */
export function timeline(proof: Proof): Happening[] {
  const found: Happening[] = [];
  for (const of of proof.consents) found.push({ kind: 'consent', at: of.at, of });
  for (const of of proof.messages) {
    const at = of.accepted_at ?? of.claimed_at ?? of.failed_at;
    if (at) found.push({ kind: 'message', at, of });
  }
  for (const of of proof.replies) found.push({ kind: 'reply', at: of.at, of });
  for (const of of proof.stops) found.push({ kind: 'stop', at: of.recorded_at, of });
  for (const of of proof.exclusions) if (of.at) found.push({ kind: 'exclusion', at: of.at, of });
  for (const of of proof.lifts) found.push({ kind: 'lift', at: of.at, of });
  return found.sort((one, other) => Date.parse(one.at) - Date.parse(other.at) || FIRST.indexOf(one.kind) - FIRST.indexOf(other.kind));
}

/** The stop that holds: the last one, if somebody is blocked. */
export function standing(proof: Proof): Proof['stops'][number] | null {
  return proof.verdict.suppressed ? (proof.stops.at(-1) ?? null) : null;
}

/** What a verdict comes to, the gravest first. */
export type Ruling = 'unknown' | 'erased' | 'stopped' | 'unproven' | 'free';

export function ruling({ known, erased, suppressed, consented }: Proof['verdict']): Ruling {
  if (erased) return 'erased';
  if (suppressed) return 'stopped';
  if (!known) return 'unknown';
  return consented ? 'free' : 'unproven';
}

/** Whether two texts name the same number, however each is written: with spaces, brackets, 00 or Arabic digits. */
export function isSame(typed: string, person: string): boolean {
  const digits = (text: string) => text.replace(/[٠-٩]/g, (digit) => String(digit.charCodeAt(0) - 0x660)).replace(/[^\da-z]/gi, '').replace(/^00/, '').toLowerCase();
  return digits(typed) !== '' && digits(typed) === digits(person);
}
