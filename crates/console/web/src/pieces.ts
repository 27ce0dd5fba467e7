// A large file goes in pieces: what was received stays when the line breaks, and the rest follows from there, also after
// the page was loaded again. The file is sent once, and both the check and the import read it there.
import { answer, api, NO_ANSWER, patch, Refusal } from './api/client.ts';

/** From this size on a file goes in pieces; a smaller one is sent anew as quickly. */
export const LARGE = 4 * 1024 * 1024;
const PIECE = 4 * 1024 * 1024;
/** Pauses while nobody answers; the last one is repeated. Five minutes in all. */
const PAUSES_S = [1, 2, 4, 8, 15];
const PATIENCE_S = 300;
const PLACE = 'hudhud.upload';

interface Begun {
  id: string;
  name: string;
  size: number;
  modified: number;
}

export interface Progress {
  /** Of the file, 0 to 1. */
  share: number;
  /** The line is broken; it is tried again by itself. */
  waits: boolean;
}

/** The pieces of this very file that were sent before, by this browser. */
function begun(file: File): Begun | null {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? 'null') as Begun | null;
    return kept !== null && kept.name === file.name && kept.size === file.size && kept.modified === file.lastModified ? kept : null;
  } catch {
    return null;
  }
}

function keep(id: string | null, file?: File): void {
  try {
    if (id === null || file === undefined) localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, JSON.stringify({ id, name: file.name, size: file.size, modified: file.lastModified } satisfies Begun));
  } catch {
    // Without storage it cannot be taken up after the page is loaded again; all else works.
  }
}

/** It was imported, and so is gone from the server. */
export function forgetPieces(): void {
  keep(null);
}

async function where(id: string): Promise<number | null> {
  try {
    return (await answer(api.GET('/api/v1/uploads/{upload}', { params: { path: { upload: id } } }))).offset;
  } catch (refused) {
    if (refused instanceof Refusal && refused.problem.status === 404) return null;
    throw refused;
  }
}

const isSilence = (refused: unknown) => refused instanceof Refusal && refused.kind === NO_ANSWER;
/** Somebody else wrote, or we did and never heard of it: the server knows where to go on. */
const isElsewhere = (refused: unknown) => refused instanceof Refusal && (refused.problem.status === 409 || refused.problem.status === 400);

/** Sends what is not there yet of a file, and gives the id by which an import names it. */
export async function sendInPieces(file: File, tell: (progress: Progress) => void): Promise<string> {
  let id = begun(file)?.id ?? null;
  let at: number | null = null;
  let waited = 0;
  let failures = 0;
  const share = () => (file.size === 0 ? 1 : (at ?? 0) / file.size);
  for (;;) {
    try {
      if (id !== null && at === null) at = await where(id);
      if (id === null || at === null || at > file.size) {
        const fresh = await answer(api.POST('/api/v1/uploads', { params: { query: { length: file.size } } }));
        id = fresh.id;
        at = fresh.offset;
        keep(id, file);
      }
      if (at === file.size) {
        tell({ share: 1, waits: false });
        return id;
      }
      const from: number = at;
      const piece = file.slice(from, from + PIECE);
      at = (await patch(`/api/v1/uploads/${id}?offset=${from}`, piece, (sent) => tell({ share: (from + sent * piece.size) / file.size, waits: false }))).offset;
      tell({ share: share(), waits: false });
      [waited, failures] = [0, 0];
    } catch (refused) {
      if (!(isSilence(refused) || (isElsewhere(refused) && failures < 5)) || waited >= PATIENCE_S) throw refused;
      const pause = PAUSES_S[Math.min(failures, PAUSES_S.length - 1)] as number;
      failures += 1;
      waited += pause;
      tell({ share: share(), waits: true });
      await new Promise((done) => setTimeout(done, pause * 1000));
      // What came of the piece is kept there, and only there is it known how much that is.
      at = null;
    }
  }
}
