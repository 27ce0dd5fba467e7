// What the server says, in the reader's language. The API answers in English sentences; locales/said.json has them word
// for word as the server's sources do, values in braces, each with what it is in the other languages, and in English
// where the server's advice is a command and here it is a page. A test looks every one of them up in those sources.
import * as locale from './locale.ts';

/** A sentence's words by language; `{0}`, `{1}` … are its values in the order of the server's. */
export type Saying = Partial<Record<'en' | 'ar' | 'es', string>>;
export type Sayings = Record<string, Saying>;

/** What every language says by rules of its own: a count of people, and the names of states. */
export interface Terms {
  people: (count: number) => string;
  /** The name of a state that the API writes as a code, or nothing. */
  state: (code: string) => string | null;
}

interface Known {
  source: string;
  pattern: RegExp;
  saying: Saying;
}

const HOLE = /\{\{|\}\}|\{[^{}]*\}/g;

/** The sentence of the sources as a pattern: `{name}` is any value, `{name:?}` one in quotes, `{{` a brace. */
function patternOf(source: string): RegExp {
  const plain = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  let pattern = '';
  let at = 0;
  for (const hole of source.matchAll(HOLE)) {
    pattern += plain(source.slice(at, hole.index));
    if (hole[0] === '{{') pattern += '\\{';
    else if (hole[0] === '}}') pattern += '\\}';
    else pattern += hole[0].endsWith(':?}') ? '"(.*?)"' : '(.+?)';
    at = hole.index + hole[0].length;
  }
  return new RegExp(`^${pattern}${plain(source.slice(at))}$`, 's');
}

/** Reads sayings into something that can be asked. */
export function reader(sayings: Sayings): { known: Known[]; exact: Map<string, Saying> } {
  const exact = new Map<string, Saying>();
  const known: Known[] = [];
  for (const [source, saying] of Object.entries(sayings)) {
    if (!source.match(HOLE)) exact.set(source, saying);
    else known.push({ source, pattern: patternOf(source), saying });
  }
  // The more of a sentence is its own, the surer it is meant: `{}: no limit` must not take what another one says.
  const own = ({ pattern }: Known) => pattern.source.replaceAll('(.+?)', '').replaceAll('"(.*?)"', '').length;
  return { known: known.sort((a, b) => own(b) - own(a)), exact };
}

const ISOLATE = (text: string) => `\u2068${text}\u2069`;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** A value that stands in a sentence: a count, a time, a length or a sentence itself is said as the reader says it. */
function value(book: ReturnType<typeof reader>, style: locale.Style, terms: Terms, text: string): string {
  const counted = /^([\d,]+) (?:people|person)$/.exec(text);
  if (counted) return terms.people(Number((counted[1] as string).replaceAll(',', '')));
  if (/^\d{1,3}(,\d{3})*$/.test(text) || /^\d{1,4}$/.test(text)) return locale.number(style, Number(text.replaceAll(',', '')));
  if (/^\d+\.\d+$/.test(text)) return locale.number(style, Number(text), { maximumFractionDigits: 2 });
  if (/^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)$/.test(text)) return ISOLATE(locale.time(style, text));
  const length = seconds(text);
  if (length !== null) return locale.span(style, length);
  const day = /^(Sun|Mon|Tue|Wed|Thu|Fri|Sat) (\d\d:\d\d)$/.exec(text);
  if (day) return `${locale.weekday(style, DAYS.indexOf(day[1] as string))} ${ISOLATE(day[2] as string)}`;
  return terms.state(text) ?? translate(book, style, terms, text) ?? ISOLATE(text);
}

/** `1h30m`, `6h`, `2d` in seconds. */
export function seconds(text: string): number | null {
  if (!/^(\d+[smhd])+$/.test(text)) return null;
  const size: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };
  return [...text.matchAll(/(\d+)([smhd])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * (size[unit as string] ?? 0), 0);
}

/** The sentence in the reader's language, or nothing when it is none that is known. */
export function translate(book: ReturnType<typeof reader>, style: locale.Style, terms: Terms, text: string): string | null {
  const language = style.language as keyof Saying;
  const whole = book.exact.get(text) ?? book.exact.get(text.replace(/\.$/, ''));
  if (whole) return whole[language] ?? text;
  const put = compound(book, style, terms, text);
  if (put !== null) return put;
  for (const { source, pattern, saying } of book.known) {
    // A clause of one crate ends as a sentence of another.
    const found = pattern.exec(source.endsWith('.') ? text : text.replace(/\.$/, ''));
    if (!found) continue;
    const values = found.slice(1);
    const words = saying[language] ?? numbered(source);
    return words.replace(/\{(\d)\}/g, (_, place: string) => value(book, style, terms, values[Number(place)] ?? ''));
  }
  return null;
}

/** The server's own sentence with its values by their places. */
function numbered(source: string): string {
  let place = -1;
  return source.replace(HOLE, (hole) => {
    if (hole === '{{' || hole === '}}') return hole.slice(1);
    place += 1;
    return hole.endsWith(':?}') ? `“{${place}}”` : `{${place}}`;
  });
}

/** What the server puts together of several: Meta's code behind a reason, limits one after the other. */
function compound(book: ReturnType<typeof reader>, style: locale.Style, terms: Terms, text: string): string | null {
  const coded = /^(Waits for its template: )?(.+?) \(Meta's code (\d+)\)\.?$/s.exec(text);
  if (coded) {
    const said = translate(book, style, terms, coded[2] as string);
    return said === null ? null : `${said} (${ISOLATE(`Meta ${coded[3]}`)}).`;
  }
  for (const [between, here] of [['; ', style.language === 'ar' ? '؛ ' : '; '], [', then ', style.language === 'ar' ? '، ثم ' : '; ']] as const) {
    const parts = text.split(between).map((part) => (text.includes(between) ? translate(book, style, terms, part) : null));
    if (parts.every((part) => part !== null)) return parts.join(here);
  }
  return null;
}
