// Variables of a template, and the texts with columns that a campaign writes for them. The server has the last word
// (domain::template); this is what a preview needs.

export interface Filled {
  kind: 'text' | 'filled' | 'lost';
  text: string;
}

/** `{column}` and `{column|fallback}` in a text; `{{` and `}}` are single braces. */
export interface Column {
  name: string;
  fallback: string | null;
}

export function columnsOf(expression: string): Column[] {
  return [...expression.replaceAll('{{', '').replaceAll('}}', '').matchAll(/\{([^{}|]+)(?:\|([^{}]*))?\}/g)]
    .map((found) => ({ name: (found[1] ?? '').trim(), fallback: found[2] ?? null }));
}

/** What a person would read, or nothing when a column is empty and has no fallback: they would be left out. */
export function render(expression: string, columns: Record<string, string>): string | null {
  let lost = false;
  const text = expression
    .replaceAll('{{', '\u0001')
    .replaceAll('}}', '\u0002')
    .replace(/\{([^{}|]+)(?:\|([^{}]*))?\}/g, (_, name: string, fallback: string | undefined) => {
      const value = columns[name.trim()]?.trim();
      if (value) return value;
      if (fallback !== undefined) return fallback;
      lost = true;
      return '';
    })
    .replaceAll('\u0001', '{')
    .replaceAll('\u0002', '}');
  return lost ? null : text;
}

/** A template's text cut at its variables, each filled as far as it can be. */
export function fill(text: string, prefix: string, params?: Record<string, string>, columns: Record<string, string> = {}): Filled[] {
  const parts: Filled[] = [];
  let at = 0;
  for (const found of text.matchAll(/\{\{\s*([A-Za-z0-9_]+)\s*\}\}/g)) {
    if (found.index > at) parts.push({ kind: 'text', text: text.slice(at, found.index) });
    at = found.index + found[0].length;
    const given = params?.[`${prefix}${found[1]}`];
    const value = given ? render(given, columns) : null;
    if (params === undefined || !given) parts.push({ kind: 'filled', text: found[0] });
    else if (value === null) parts.push({ kind: 'lost', text: given });
    else parts.push({ kind: 'filled', text: value });
  }
  if (at < text.length) parts.push({ kind: 'text', text: text.slice(at) });
  return parts;
}

/** The examples that Meta keeps with a template, by the keys of a campaign's parameters. */
export function examplesOf(components: unknown): Record<string, string> {
  const examples: Record<string, string> = {};
  if (!Array.isArray(components)) return examples;
  for (const component of components as { type?: string; example?: Record<string, unknown> }[]) {
    const { type, example } = component;
    if (!example) continue;
    const prefix = type === 'HEADER' ? 'header.' : '';
    const positional = (example.body_text as string[][] | undefined)?.[0] ?? (example.header_text as string[] | undefined) ?? [];
    positional.forEach((text, place) => { examples[`${prefix}${place + 1}`] = text; });
    const named = (example.body_text_named_params ?? example.header_text_named_params ?? []) as { param_name: string; example: string }[];
    for (const each of named) examples[`${prefix}${each.param_name}`] = each.example;
  }
  return examples;
}

/** Whether a quick reply lets the reader stop: the words that Hudhud itself knows on a button. */
export function offersAWayOut(components: unknown): boolean {
  if (!Array.isArray(components)) return false;
  const labels = (components as { type?: string; buttons?: { type?: string; text?: string }[] }[])
    .flatMap(({ buttons }) => buttons ?? [])
    .filter(({ type }) => type === 'QUICK_REPLY')
    .map(({ text }) => (text ?? '').toLowerCase());
  return labels.some((label) => /stop|unsubscribe|opt.?out|إيقاف|إلغاء|no más|baja|parar|cancelar/.test(label));
}
