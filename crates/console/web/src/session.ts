// Who is signed in, and how. A user's session is in a cookie that no script can read; an API key is kept for this tab
// alone. The one module that knows which of the two it is.
import { useSyncExternalStore } from 'react';

const PLACE = 'hudhud.key';

let key: string | null = (() => {
  try {
    return sessionStorage.getItem(PLACE);
  } catch {
    return null;
  }
})();
let inside = key !== null;
/** Whether the last session ended because the server refused it, which the sign-in page should say. */
let refused = false;
const listeners = new Set<() => void>();

function changed(): void {
  for (const listener of listeners) listener();
}

function keep(entered: string | null): void {
  key = entered;
  try {
    if (entered === null) sessionStorage.removeItem(PLACE);
    else sessionStorage.setItem(PLACE, entered);
  } catch {
    // Without storage the session ends when the page is loaded again.
  }
}

/** Whether the browser holds the cookie of a session that is not over: only the server can tell. */
export async function findSession(): Promise<void> {
  if (inside) return;
  const answer = await fetch('/api/v1/me').catch(() => null);
  inside = answer?.ok ?? false;
}

/** With a key; or, without one, by a cookie that the server has just set. */
export function signIn(entered: string | null): void {
  keep(entered);
  inside = true;
  refused = false;
  changed();
}

/** Ends the session here, after it was ended on the server or by it. */
export function signedOut(because?: 'refused'): void {
  keep(null);
  inside = false;
  refused = because === 'refused';
  changed();
}

/** Signs out: the server forgets a session, this tab forgets a key. */
export async function signOut(everywhere = false): Promise<void> {
  if (key === null) await fetch(`/api/v1/sessions${everywhere ? '' : '/current'}`, { method: 'DELETE' }).catch(() => null);
  signedOut();
}

/** What a request must carry. A cookie goes along by itself. */
export function credentials(): Record<string, string> {
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

export function useIsSignedIn(): boolean {
  return useSyncExternalStore(subscribe, () => inside);
}

export function wasRefused(): boolean {
  return refused;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export interface AskedLink { way: 'welcome' | 'enter'; token: string }

/** The link that this page was opened by. Its token stands after the `#`, which is sent to no server. */
export function linkAsked(): AskedLink | null {
  const way = window.location.pathname.slice(1);
  if (way !== 'welcome' && way !== 'enter') return null;
  return { way, token: window.location.hash.slice(1) };
}
