// The import that is running in this tab. Kept outside of any page, so that it goes on, and shows how far it is, while
// its page is left and opened again.
import { useSyncExternalStore } from 'react';

import { asRefusal, type ImportSummary, upload } from './api/client.ts';

export interface Running {
  path: string;
  file: File;
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

export async function begin(path: string, file: File): Promise<ImportSummary | null> {
  set({ path, file, share: 0, begun: Date.now(), summary: null, error: null });
  window.addEventListener('beforeunload', ask);
  const change = (part: Partial<Running>) => { if (running?.path === path) set({ ...running, ...part }); };
  try {
    const summary = await upload<ImportSummary>(path, file, (share) => change({ share }));
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
