// What a person says of a file, and the request that says it to Hudhud.
import { type Delimiter, delimiterOf, type Encoding, encodingOf, type Field, FIELDS, guess, rowsOf } from './csv.ts';
import { beginning, isZip, peek } from './workbook.ts';

export interface Choice {
  file: File;
  /** `text` is looked at here, `book` as far as it is XLSX; `blind` is a kind that only Hudhud reads. */
  kind: 'text' | 'book' | 'blind';
  /** The first bytes of a text, unpacked. */
  bytes: Uint8Array;
  /** Nothing until a person says so: Hudhud finds out by more of the file than we look at. */
  encoding: Encoding | null;
  delimiter: Delimiter | null;
  sheets: string[];
  sheet: string | null;
  header: string[];
  /** Whether the file begins with a person and not with the names of its columns. */
  bare: boolean;
  rows: string[][];
  list: string;
  region: string | null;
  columns: Partial<Record<Field, string>>;
  source: string;
  wording: string;
  /** One day for all, or a column with each person's own. */
  consent: 'day' | 'column';
  day: string;
  /** Which of 03/04/2026 is the day. */
  dates: 'dmy' | 'mdy' | null;
  /** What was said of a file with the same columns before was taken over. */
  recalled: boolean;
  /** A large file that was sent in pieces, by Hudhud's id of it. */
  upload: string | null;
}

/** So much of a file tells what it is like. */
const BEGINNING = 64 * 1024;
/** Rows that are looked at; fewer are shown. */
const LOOKED_AT = 21;

/** A first look at a file, and what it is most likely meant as. */
export async function look(file: File, language: string, known: Partial<Choice> = {}): Promise<Choice> {
  const list = file.name.replace(/(\.(csv|tsv|txt|xlsx|xlsm|xlsb|xls|ods))?(\.gz)?$/i, '').slice(0, 80);
  const blank: Choice = {
    file, kind: 'blind', bytes: new Uint8Array(), encoding: null, delimiter: null, sheets: [], sheet: null, header: [], bare: false, rows: [], list,
    region: null, columns: {}, source: '', wording: '', consent: 'day', day: '', dates: null, recalled: false, upload: null, ...known,
  };
  const first = new Uint8Array(await file.slice(0, BEGINNING).arrayBuffer());
  if (isZip(first)) return bookOf(blank, null);
  // An XLS or XLSB file, or something that Hudhud will refuse in its own words.
  if (first[0] === 0xd0 && first[1] === 0xcf) return blank;
  const packed = first[0] === 0x1f && first[1] === 0x8b;
  const bytes = packed ? await beginning(file.stream().pipeThrough(new DecompressionStream('gzip')), BEGINNING).catch(() => new Uint8Array()) : first;
  if (bytes.length === 0 || isZip(bytes)) return blank;
  return textOf({ ...blank, kind: 'text', bytes }, language);
}

/** A first row with a phone number in it is no header; Hudhud names such columns by their places, as here. */
function guessed(choice: Choice): Choice {
  const bare = choice.header.some((cell) => /^[^\p{L}]*$/u.test(cell) && cell.replace(/\P{Nd}/gu, '').length >= 7);
  const header = bare ? choice.header.map((_, place) => `column${place + 1}`) : choice.header;
  const rows = bare ? [choice.header, ...choice.rows] : choice.rows;
  const columns = guess(header, rows);
  return { ...choice, header, rows, bare, columns, consent: columns.opt_in_at ? 'column' : 'day' };
}

/** Reads the beginning of a text again, with what a person said of it. */
export function textOf(choice: Choice, language: string): Choice {
  const text = new TextDecoder(encodingIn(choice, language)).decode(choice.bytes, { stream: true });
  const [header = [], ...rows] = rowsOf(text, choice.delimiter ?? delimiterOf(text), LOOKED_AT);
  return guessed({ ...choice, header, rows });
}

export function encodingIn(choice: Choice, language: string): Encoding {
  return choice.encoding ?? encodingOf(choice.bytes, language);
}

/** Looks into a sheet, or into the first that holds a row. */
export async function bookOf(choice: Choice, sheet: string | null): Promise<Choice> {
  const seen = await peek(choice.file, sheet, LOOKED_AT);
  if (seen === null || seen.rows.length === 0) return { ...choice, kind: seen === null ? 'blind' : 'book', sheets: seen?.sheets ?? [], sheet, header: [], rows: [], columns: {} };
  const [header = [], ...rows] = seen.rows;
  return guessed({ ...choice, kind: 'book', sheets: seen.sheets, sheet: sheet ?? seen.sheet, header, rows });
}

/** What still has to be said before the file can be checked. */
export function isReady(choice: Choice, today: string): boolean {
  const { kind, columns, list, source, consent, day } = choice;
  const consented = consent === 'column' ? columns.opt_in_at !== undefined : day !== '' && day <= today;
  return (kind === 'blind' || columns.phone !== undefined || columns.user_id !== undefined) && list.trim() !== '' && source.trim() !== '' && consented;
}

/** The request for it. Only what a person said or saw goes along; the rest Hudhud finds out. */
export function pathOf(choice: Choice, { dryRun, language, zone }: { dryRun: boolean; language: string; zone: string }): string {
  const query = new URLSearchParams({ list: choice.list.trim(), file_name: choice.file.name, opt_in_source: choice.source.trim(), lang: language });
  query.set('opt_in_at', choice.consent === 'column' ? `@${choice.columns.opt_in_at}` : `${choice.day}T00:00:00Z`);
  if (choice.wording.trim()) query.set('opt_in_wording', choice.wording.trim());
  if (choice.consent === 'column') query.set('time_zone', zone);
  if (choice.dates) query.set('date_order', choice.dates);
  if (choice.region) query.set('region', choice.region);
  if (choice.encoding) query.set('encoding', choice.encoding);
  if (choice.delimiter) query.set('delimiter', choice.delimiter);
  if (choice.sheet && choice.sheets.length > 1) query.set('sheet', choice.sheet);
  if (choice.bare) query.set('header', 'no');
  for (const field of FIELDS) {
    const column = choice.columns[field];
    // The time of consent is named by itself, above.
    if (column !== undefined && field !== 'opt_in_at') query.append('map', `${field}=${column}`);
  }
  if (choice.upload !== null) query.set('upload', choice.upload);
  if (dryRun) query.set('dry_run', 'true');
  return `/api/v1/imports?${query.toString()}`;
}
