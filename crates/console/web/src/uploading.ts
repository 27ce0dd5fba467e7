// The import that is running in this tab. Kept outside of any page, so that it goes on, and shows how far it is, while
// its page is left and opened again.
import { useSyncExternalStore } from 'react';

import { asRefusal, type ImportSummary, upload } from './api/client.ts';
import { forgetPieces } from './pieces.ts';

export interface Running {
  path: string;
  file: File;
  /** It was sent before: only its rows are awaited. */
  isThere: boolean;
  /** Of the file, 0 to 1. */
  share: number;
  /** Epoch ms. */
  begun: number;
  summary: ImportSummary | null;
  error: unknown;
}

let running: Running | null = null;
const listeners = new Set<() => void>();

function set(next: Running | null): void {
  running = next;
  for (const listener of listeners) listener();
}

/** Leaving the tab would break the file off: the browser asks first. */
function ask(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

/** Imports a file: as it is, or, where it was sent in pieces, from there. */
export async function begin(path: string, file: File, isThere: boolean): Promise<ImportSummary | null> {
  set({ path, file, isThere, share: isThere ? 1 : 0, begun: Date.now(), summary: null, error: null });
  // What is there already is imported to its end, whatever becomes of the tab.
  if (!isThere) window.addEventListener('beforeunload', ask);
  const change = (part: Partial<Running>) => { if (running?.path === path) set({ ...running, ...part }); };
  try {
    const summary = await upload<ImportSummary>(path, isThere ? new Blob([]) : file, (share) => { if (!isThere) change({ share }); });
    if (isThere) forgetPieces();
    change({ share: 1, summary });
    return summary;
  } catch (error) {
    change({ error: error instanceof Error ? error : asRefusal(error, 0) });
    return null;
  } finally {
    window.removeEventListener('beforeunload', ask);
  }
}

export function forget(): void {
  set(null);
}

export function useRunning(): Running | null {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, () => running);
}
