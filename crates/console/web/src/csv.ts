// A look at the beginning of a file, for the person who says which column is what. Hudhud itself reads the file.

export const ENCODINGS = ['utf-8', 'windows-1256', 'windows-1252', 'utf-16le', 'utf-16be'] as const;
export type Encoding = (typeof ENCODINGS)[number];
export const DELIMITERS = [',', ';', '\t', '|'] as const;
export type Delimiter = (typeof DELIMITERS)[number];
export const FIELDS = ['phone', 'user_id', 'name', 'language', 'country', 'time_zone', 'opt_in_at', 'opt_in_source', 'opt_in_wording'] as const;
export type Field = (typeof FIELDS)[number];

/** By its byte order mark, else UTF-8 where the bytes are that, else the code page of the reader's own language. */
export function encodingOf(bytes: Uint8Array, language: string): Encoding {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  try {
    // The last character may be cut in half where the beginning ends.
    new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, Math.max(0, bytes.length - 4)), { stream: true });
    return 'utf-8';
  } catch {
    return language === 'ar' ? 'windows-1256' : 'windows-1252';
  }
}

export function delimiterOf(text: string): Delimiter {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line.trim() !== '').slice(0, 20);
  let best: [number, Delimiter] = [0, ','];
  for (const delimiter of DELIMITERS) {
    const counts = lines.map((line) => cells(line, delimiter).length);
    const width = counts[0] ?? 1;
    const alike = width > 1 ? counts.filter((count) => count === width).length * 100 + width : 0;
    if (alike > best[0]) best = [alike, delimiter];
  }
  return best[1];
}

/** The first rows, header first. A quoted cell may hold the delimiter and line ends. */
export function rowsOf(text: string, delimiter: Delimiter, most: number): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  const plain = text.replace(/^\ufeff/, '');
  for (let at = 0; at < plain.length && rows.length < most; at += 1) {
    const letter = plain[at] as string;
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (plain[at + 1] === '"') { cell += '"'; at += 1; } else quoted = false;
    } else if (letter === '"' && cell === '') quoted = true;
    else if (letter === delimiter) { row.push(cell); cell = ''; } else if (letter === '\n' || letter === '\r') {
      if (letter === '\r' && plain[at + 1] === '\n') at += 1;
      row.push(cell);
      if (row.some((each) => each.trim() !== '')) rows.push(row);
      row = [];
      cell = '';
    } else cell += letter;
  }
  if (rows.length < most && (cell !== '' || row.length > 0)) rows.push([...row, cell]);
  return rows;
}

function cells(line: string, delimiter: Delimiter): string[] {
  return rowsOf(line, delimiter, 1)[0] ?? [];
}

const WORDS: Record<Field, RegExp> = {
  phone: /phone|mobile|tel|whats|cell|msisdn|رقم|هاتف|موبايل|جوال|تليفون|teléfono|telefono|móvil|movil|celular|número/i,
  name: /name|nombre|nome|nom|الاسم|اسم/i,
  language: /lang|idioma|langue|língua|اللغة|لغة/i,
  opt_in_at: /opt.?in(?!.*(source|wording|text))|consent(?!.*(source|wording|text))|fecha de alta|alta|موافقة|data de|signed/i,
  country: /^(country|pa[ií]s|country code|الدولة|البلد|دولة)$/i,
  time_zone: /^(time.?zone|zona horaria|fuso|المنطقة الزمنية)$/i,
  user_id: /^(user.?id|bsuid|business.scoped.user.id)$/i,
  opt_in_source: /(opt.?in|consent).*source|origen del consentimiento|مصدر الموافقة/i,
  opt_in_wording: /(opt.?in|consent).*(wording|text)|texto del consentimiento|نص الموافقة/i,
};

/** Which column a header most likely means: by its words, and a phone column by what stands in it. */
export function guess(header: string[], rows: string[][]): Partial<Record<Field, string>> {
  const found: Partial<Record<Field, string>> = {};
  const taken = new Set<string>();
  for (const field of ['user_id', 'country', 'time_zone', 'opt_in_source', 'opt_in_wording', 'phone', 'language', 'opt_in_at', 'name'] as const) {
    const column = header.find((each) => each.trim() !== '' && !taken.has(each) && WORDS[field].test(each));
    if (column !== undefined) {
      found[field] = column;
      taken.add(column);
    }
  }
  if (found.phone === undefined) {
    const place = header.findIndex((each, at) => !taken.has(each) && rows.length > 0 && rows.every((row) => /^[^\p{L}]*$/u.test(row[at] ?? '') && (row[at] ?? '').replace(/\P{Nd}/gu, '').length >= 7));
    if (place >= 0) found.phone = header[place] as string;
  }
  return found;
}

/** Whether a number as it stands in a file leaves its country out. What is no number at all is not our question. */
export function isNational(cell: string): boolean {
  const plain = cell.replace(/\p{Nd}/gu, (digit) => String(digitOf(digit))).replace(/[^0-9+]/g, '');
  return plain.length >= 7 && !plain.startsWith('+') && !plain.startsWith('00') && plain.length <= 11;
}

/** The value of a decimal digit of the scripts that our files come in. */
function digitOf(digit: string): number {
  const code = digit.codePointAt(0) ?? 0;
  for (const zero of [0x30, 0x660, 0x6f0, 0x966, 0x9e6]) if (code >= zero && code <= zero + 9) return code - zero;
  return 0;
}
