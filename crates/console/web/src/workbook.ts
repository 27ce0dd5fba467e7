// A look at the first rows of an XLSX file, for the person who says which column is what. An XLSX file is a ZIP archive
// of XML (ECMA-376, part 1); only its directory and the beginnings of three members are read, however large it is.
// Hudhud itself reads the file, and other kinds of spreadsheet too.

/** So much of a member is unpacked at most. */
const MOST = 1_500_000;
const END_OF_DIRECTORY = 0x06054b50;
const ENTRY = 0x02014b50;

interface Member {
  /** 0: stored, 8: deflated. */
  method: number;
  size: number;
  offset: number;
}

export interface Peek {
  sheets: string[];
  /** The sheet that was looked into: the first with a row, or the one asked for. */
  sheet: string;
  rows: string[][];
}

/** Whether a file is packed as XLSX and ODS are. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 0x03 && bytes[3] === 0x04;
}

/** The first rows of a sheet, header first; nothing where the file is no XLSX or cannot be read so. */
export async function peek(file: Blob, wanted: string | null, most: number): Promise<Peek | null> {
  try {
    const members = await directory(file);
    const book = await text(file, members.get('xl/workbook.xml'));
    const relations = await text(file, members.get('xl/_rels/workbook.xml.rels'));
    if (book === null || relations === null) return null;
    const targets = new Map([...relations.matchAll(/<Relationship\b[^>]*>/g)].map(([tag]) => [attribute(tag, 'Id'), attribute(tag, 'Target')]));
    const sheets = [...book.matchAll(/<(?:\w+:)?sheet\b[^>]*>/g)].map(([tag]) => ({ name: unescaped(attribute(tag, 'name')), path: pathOf(targets.get(attribute(tag, 'r:id')) ?? ''), hidden: /state="(hidden|veryHidden)"/.test(tag) }));
    const shared = stringsOf((await text(file, members.get('xl/sharedStrings.xml'))) ?? '');
    const names = sheets.map(({ name }) => name);
    let found: Peek = { sheets: names, sheet: names[0] ?? '', rows: [] };
    for (const { name, path, hidden } of sheets) {
      if (wanted === null ? hidden : name !== wanted) continue;
      const rows = table(rowsOf((await text(file, members.get(path))) ?? '', shared, most + 20)).slice(0, most);
      // A cover sheet may hold a line; a table has a row below its header.
      if (rows.length > 1 || wanted !== null) return { sheets: names, sheet: name, rows };
      if (rows.length > found.rows.length) found = { sheets: names, sheet: name, rows };
    }
    return found;
  } catch {
    return null;
  }
}

function pathOf(target: string): string {
  return target.startsWith('/') ? target.slice(1) : `xl/${target}`;
}

async function bytes(file: Blob, from: number, to: number): Promise<DataView> {
  return new DataView(await file.slice(from, to).arrayBuffer());
}

async function directory(file: Blob): Promise<Map<string, Member>> {
  const from = Math.max(0, file.size - 66_000);
  const tail = await bytes(file, from, file.size);
  let end = tail.byteLength - 22;
  while (end >= 0 && tail.getUint32(end, true) !== END_OF_DIRECTORY) end -= 1;
  if (end < 0) throw new Error('no directory');
  const [size, start] = [tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  const list = await bytes(file, start, start + Math.min(size, 4_000_000));
  const members = new Map<string, Member>();
  const names = new TextDecoder();
  for (let at = 0; at + 46 <= list.byteLength && list.getUint32(at, true) === ENTRY;) {
    const [name, extra, comment] = [list.getUint16(at + 28, true), list.getUint16(at + 30, true), list.getUint16(at + 32, true)];
    members.set(names.decode(new Uint8Array(list.buffer, at + 46, name)), { method: list.getUint16(at + 10, true), size: list.getUint32(at + 20, true), offset: list.getUint32(at + 42, true) });
    at += 46 + name + extra + comment;
  }
  return members;
}

async function text(file: Blob, member: Member | undefined): Promise<string | null> {
  if (!member) return null;
  const head = await bytes(file, member.offset, member.offset + 30);
  const start = member.offset + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const data = file.slice(start, start + member.size);
  const stream = member.method === 0 ? data.stream() : data.stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new TextDecoder().decode(await beginning(stream, MOST));
}

/** The first bytes of a stream; the rest is never unpacked. */
export async function beginning(stream: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array> {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  while (size < most) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
  }
  void reader.cancel().catch(() => undefined);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.subarray(0, most);
}

function attribute(tag: string, name: string): string {
  return new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? '';
}

function unescaped(xml: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return xml.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (whole, hex?: string, decimal?: string, name?: string) =>
    hex ? String.fromCodePoint(Number.parseInt(hex, 16)) : decimal ? String.fromCodePoint(Number(decimal)) : (named[name ?? ''] ?? whole));
}

/** The texts of a string item or an inline string; phonetic runs are not part of it. */
function plain(xml: string): string {
  return [...xml.replace(/<rPh\b.*?<\/rPh>/gs, '').matchAll(/<t\b[^>]*>(.*?)<\/t>/gs)].map(([, part]) => unescaped(part as string)).join('');
}

function stringsOf(xml: string): string[] {
  return [...xml.matchAll(/<si\b[^>]*>(.*?)<\/si>/gs)].map(([, item]) => plain(item as string));
}

function rowsOf(xml: string, shared: string[], most: number): string[][] {
  const rows: string[][] = [];
  for (const [, row] of xml.matchAll(/<row\b[^>]*>(.*?)<\/row>/gs)) {
    const cells: string[] = [];
    for (const [, attributes = '', inner = ''] of (row as string).matchAll(/<c\b([^>]*?)(?:\/>|>(.*?)<\/c>)/gs)) {
      const place = columnOf(attribute(` ${attributes}`, 'r')) ?? cells.length;
      if (place > 500) break;
      while (cells.length < place) cells.push('');
      cells[place] = cellOf(attribute(` ${attributes}`, 't'), inner, shared);
    }
    rows.push(cells);
    if (rows.length === most) break;
  }
  return rows;
}

function cellOf(kind: string, inner: string, shared: string[]): string {
  const value = unescaped(/<v\b[^>]*>(.*?)<\/v>/s.exec(inner)?.[1] ?? '');
  if (kind === 's') return shared[Number(value)] ?? '';
  if (kind === 'inlineStr') return plain(inner);
  // A long number may be written with an exponent; nobody reads it so.
  if ((kind === '' || kind === 'n') && /e/i.test(value) && Number.isSafeInteger(Number(value))) return String(Number(value));
  return value;
}

/** `AB12` is the 28th column, 27. */
function columnOf(reference: string): number | null {
  const letters = /^[A-Z]+/.exec(reference)?.[0];
  if (!letters) return null;
  return [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;
}

/** Without titles above the table and empty rows: a header has more than one column where any row has. */
function table(rows: string[][]): string[][] {
  const filled = rows.filter((row) => row.some((cell) => cell.trim() !== ''));
  const wide = filled.some((row) => row.filter((cell) => cell.trim() !== '').length > 1);
  const first = wide ? filled.findIndex((row) => row.filter((cell) => cell.trim() !== '').length > 1) : 0;
  return filled.slice(first);
}

/** The day that a spreadsheet's serial number is (days from 30 December 1899), as `2026-01-05`; else the text itself. */
export function dayOf(cell: string): string {
  const serial = Number(cell);
  if (!/^\d{5}(\.\d+)?$/.test(cell) || serial < 25_569 || serial > 73_050) return cell;
  return new Date(Math.round((serial - 25_569) * 86_400) * 1_000).toISOString().replace(/T00:00:00.*/, '').replace('T', ' ').slice(0, 16);
}
