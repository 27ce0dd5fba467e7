// What was said of files with the same columns before. Which column is what, Hudhud remembers for everybody; what else
// was said of such a file, this browser does. Names of columns and the words of a consent, and nothing of a person.
import { answer, api } from './api/client.ts';
import { type Field, FIELDS } from './csv.ts';
import type { Choice } from './importing.ts';

const PLACE = 'hudhud.files';
const MOST = 20;

type Kept = Pick<Choice, 'region' | 'source' | 'wording' | 'dates'>;
type Shelf = [header: string, kept: Kept][];

function shelf(): Shelf {
  try {
    return JSON.parse(localStorage.getItem(PLACE) ?? '[]') as Shelf;
  } catch {
    return [];
  }
}

const nameOf = (header: string[]) => header.map((name) => name.trim().toLowerCase()).join('\u001f');

/** Notes what was said of a file, for the next one with its columns. */
export function remember({ header, bare, region, source, wording, dates }: Choice): void {
  if (header.length === 0 || bare) return;
  const name = nameOf(header);
  const others = shelf().filter(([other]) => other !== name);
  try {
    localStorage.setItem(PLACE, JSON.stringify([[name, { region, source, wording, dates }], ...others].slice(0, MOST)));
  } catch {
    // A convenience that this browser does not offer.
  }
}

/** A choice with what was said of such a file before, where somebody did; what a person says now comes first. */
export async function withRecalled(choice: Choice): Promise<Choice> {
  if (choice.header.length === 0 || choice.bare) return choice;
  const kept = shelf().find(([header]) => header === nameOf(choice.header))?.[1];
  // Without an answer the columns are guessed, as for a file that nobody has seen.
  const columns = await answer(api.POST('/api/v1/imports/recall', { body: { header: choice.header } })).then((known) => known.columns, () => ({}));
  const known = Object.entries(columns).filter(([field, column]) => FIELDS.includes(field as Field) && choice.header.includes(column)) as [Field, string][];
  if (known.length === 0 && kept === undefined) return choice;
  const taken = new Set(known.map(([, column]) => column));
  const guessed = Object.entries(choice.columns).filter(([, column]) => !taken.has(column));
  return {
    ...choice,
    columns: { ...Object.fromEntries(guessed), ...Object.fromEntries(known) },
    region: choice.region ?? kept?.region ?? null,
    source: choice.source || (kept?.source ?? ''),
    wording: choice.wording || (kept?.wording ?? ''),
    dates: choice.dates ?? kept?.dates ?? null,
    recalled: true,
  };
}
