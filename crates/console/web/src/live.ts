// What moves, as Hudhud tells it: one stream of server-sent events for this tab, into the same cache that questions
// fill. While it runs nothing is asked again and again; when it breaks, pages ask as before until it is back. A tab that
// nobody looks at has none.
//
// Read by fetch rather than EventSource, which cannot show an API key.
import type { QueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';

import { credentials, signedOut } from './session.ts';
import { type Told, reader } from './stream.ts';

/** The server looks every two seconds, and says so: silence for so long means that the line is dead. */
const SILENCE_MS = 9_000;
/** From one broken stream to the next: the first at once, as a stream that came to its end. */
const PAUSES_MS = [250, 2_000, 5_000, 15_000, 30_000];

let client: QueryClient | null = null;
/** The campaign whose page is open: its name or id as the page asks for it. */
let watched: string | null = null;
let isOpen = false;
let wanted = 0;
let broken = 0;
let abort: AbortController | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function tell(open: boolean): void {
  if (open === isOpen) return;
  isOpen = open;
  for (const listener of listeners) listener();
}

function close(): void {
  clearTimeout(timer);
  abort?.abort();
  abort = null;
  tell(false);
}

/** Ends the present stream and begins one for what is shown now, if anything is. */
function begin(): void {
  close();
  broken = 0;
  // A page that closes and one that opens are one change.
  if (wanted > 0 && client !== null && document.visibilityState === 'visible') timer = setTimeout(() => void listen(), 30);
}

function again(): void {
  tell(false);
  const pause = PAUSES_MS[Math.min(broken, PAUSES_MS.length - 1)] as number;
  broken += 1;
  timer = setTimeout(() => void listen(), pause);
}

async function listen(): Promise<void> {
  const own = new AbortController();
  abort = own;
  const campaign = watched;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => own.abort(), SILENCE_MS);
  };
  try {
    alive();
    const response = await fetch(`/api/v1/events${campaign === null ? '' : `?campaign=${encodeURIComponent(campaign)}`}`, { headers: credentials(), signal: own.signal });
    if (response.status === 401) signedOut('refused');
    if (response.ok && response.body !== null) {
      const told = reader();
      const bytes = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await bytes.read(); !piece.done; piece = await bytes.read()) {
        alive();
        for (const event of told(piece.value)) take(event, campaign);
      }
    }
  } catch {
    // Broken, or ended by us: pages ask for themselves until the next one.
  } finally {
    clearTimeout(silence);
  }
  // Another one may have begun since.
  if (abort === own) again();
}

function take({ name, data }: Told, campaign: string | null): void {
  const cache = client;
  if (cache === null) return;
  if (name === 'away') {
    tell(false);
    return;
  }
  tell(true);
  broken = 0;
  if (name === 'queue') cache.setQueryData(['queue'], data);
  if (name === 'campaign' && campaign !== null) cache.setQueryData(['campaign', campaign], data);
  if (name === 'looked') {
    // What was told last still holds: it is as of now.
    cache.setQueryData(['queue'], (known: unknown) => known);
    if (campaign !== null) cache.setQueryData(['campaign', campaign], (known: unknown) => known);
  }
}

/** Keeps the stream open while a component is there. */
export function useStream(cache: QueryClient): void {
  useEffect(() => {
    client = cache;
    wanted += 1;
    begin();
    const seen = () => (document.visibilityState === 'visible' ? begin() : close());
    document.addEventListener('visibilitychange', seen);
    return () => {
      document.removeEventListener('visibilitychange', seen);
      wanted -= 1;
      if (wanted === 0) close();
    };
  }, [cache]);
}

/** Has a campaign told of as well, while its page is open. */
export function useWatch(campaign: string): void {
  useEffect(() => {
    watched = campaign;
    if (wanted > 0) begin();
    return () => {
      watched = null;
      if (wanted > 0) begin();
    };
  }, [campaign]);
}

/** Whether what moves is told: then nothing need be asked. */
export function useIsTold(): boolean {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, () => isOpen);
}
