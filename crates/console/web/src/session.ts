// Who is signed in. The one module that knows how: an API key, kept for this tab alone. When Hudhud has sessions and
// users, only this file changes.
import { useSyncExternalStore } from 'react';

const PLACE = 'hudhud.key';

let key: string | null = (() => {
  try {
    return sessionStorage.getItem(PLACE);
  } catch {
    return null;
  }
})();
/** Whether the last session ended because the server refused it, which the sign-in page should say. */
let refused = false;
const listeners = new Set<() => void>();

function changed(): void {
  for (const listener of listeners) listener();
}

export function signIn(entered: string): void {
  key = entered;
  refused = false;
  try {
    sessionStorage.setItem(PLACE, entered);
  } catch {
    // Without storage the session ends when the page is loaded again.
  }
  changed();
}

export function signOut(because?: 'refused'): void {
  key = null;
  refused = because === 'refused';
  try {
    sessionStorage.removeItem(PLACE);
  } catch {
    // Nothing was kept.
  }
  changed();
}

/** What a request must carry. */
export function credentials(): Record<string, string> {
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

export function useIsSignedIn(): boolean {
  return useSyncExternalStore(subscribe, () => key !== null);
}

export function wasRefused(): boolean {
  return refused;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
