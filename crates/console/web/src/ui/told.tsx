// What was just done, said once at the foot of the page and spoken to those who listen.
import { useSyncExternalStore } from 'react';

import { Icon } from './icons.tsx';

/** Long enough to be read, and gone before it is in the way. */
const SHOWN_MS = 5_000;

let words: string | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function set(next: string | null): void {
  words = next;
  for (const listener of listeners) listener();
}

export function said(what: string): void {
  clearTimeout(timer);
  set(what);
  timer = setTimeout(() => set(null), SHOWN_MS);
}

export function Told() {
  const shown = useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, () => words);
  return <div className="told" role="status" aria-live="polite">{shown && <div><Icon name="check" size={18} />{shown}</div>}</div>;
}
