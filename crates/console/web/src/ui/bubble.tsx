// A template as its reader's phone shows it: WhatsApp's own marks (*bold*, _italic_, ~struck~, ```fixed```), links,
// buttons. Each paragraph runs the way its first strong letter says, as on the phone; nothing is added to the text.
import { SegmentedControl } from '@mantine/core';
import { Fragment, type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Template } from '../api/client.ts';
import { type Filled, fill } from '../template.ts';
import { Icon, type IconName } from './icons.tsx';

interface Component {
  type: string;
  format?: string;
  text?: string;
  buttons?: { type: string; text: string }[];
}

export function componentsOf(template: Pick<Template, 'components'>): Component[] {
  return Array.isArray(template.components) ? (template.components as Component[]) : [];
}

export function Bubble({ template, params, columns }: {
  template: Pick<Template, 'components'>;
  /** What a campaign writes for each variable; without it the variables stand for themselves. */
  params?: Record<string, string>;
  /** What is known of the person; nothing: what a person without data would read. */
  columns?: Record<string, string>;
}) {
  const { t } = useTranslation();
  const [night, setNight] = useState('day');
  const parts = componentsOf(template);
  const of = (type: string) => parts.find((part) => part.type?.toUpperCase() === type);
  const header = of('HEADER');
  const buttons = of('BUTTONS')?.buttons ?? [];
  const write = (text: string, prefix: string) => <Marked parts={fill(text, prefix, params, columns)} />;
  return (
    <figure style={{ margin: 0 }} aria-label={t('bubble.label')}>
      <div className={night === 'night' ? 'phone night' : 'phone'}>
        <div className="bubble">
          {header?.format && header.format.toUpperCase() !== 'TEXT' && <div className="media">{t(`bubble.media.${header.format.toLowerCase()}`, { defaultValue: header.format })}</div>}
          <div className="text">
            {header?.text && <div className="head">{write(header.text, 'header.')}</div>}
            {write(of('BODY')?.text ?? '', '')}
            {of('FOOTER')?.text && <div className="foot" dir="auto">{of('FOOTER')?.text}</div>}
            <span className="at" aria-hidden="true">14:02</span>
          </div>
          {buttons.map((button, place) => (
            <div className="button" key={place}><Icon name={SIGN[button.type] ?? 'link'} size={16} /><bdi>{button.text}</bdi></div>
          ))}
        </div>
      </div>
      <figcaption style={{ display: 'flex', justifyContent: 'flex-end', marginBlockStart: 8 }}>
        <SegmentedControl size="xs" value={night} onChange={setNight} aria-label={t('bubble.theme')}
          data={[{ value: 'day', label: t('display.light') }, { value: 'night', label: t('display.dark') }]} />
      </figcaption>
    </figure>
  );
}

const SIGN: Record<string, IconName> = { QUICK_REPLY: 'reply', URL: 'link', PHONE_NUMBER: 'call', VOICE_CALL: 'call', COPY_CODE: 'copy' };

function Marked({ parts }: { parts: Filled[] }) {
  // Marks may run over what was filled in, but not over a line's end: one line at a time.
  const lines: Filled[][] = [[]];
  for (const part of parts) {
    part.text.split('\n').forEach((text, place) => {
      if (place > 0) lines.push([]);
      (lines[lines.length - 1] as Filled[]).push({ ...part, text });
    });
  }
  return lines.map((line, place) => <p dir="auto" key={place}>{styled(line)}</p>);
}

const MARKS: [RegExp, (inner: ReactNode) => ReactNode][] = [
  [/(?<![\p{L}\p{N}*])\*(\S(?:[^*]*\S)?)\*(?![\p{L}\p{N}*])/u, (inner) => <strong>{inner}</strong>],
  [/(?<![\p{L}\p{N}_])_(\S(?:[^_]*\S)?)_(?![\p{L}\p{N}_])/u, (inner) => <em>{inner}</em>],
  [/(?<![\p{L}\p{N}~])~(\S(?:[^~]*\S)?)~(?![\p{L}\p{N}~])/u, (inner) => <s>{inner}</s>],
];

function styled(line: Filled[]): ReactNode {
  return line.map((part, place) => {
    const inner = marked(part.text);
    return part.kind === 'text'
      ? <Fragment key={place}>{inner}</Fragment>
      : <span key={place} className={part.kind === 'lost' ? 'fill lost' : 'fill'}>{inner}</span>;
  });
}

function marked(text: string): ReactNode {
  for (const [pattern, wrap] of MARKS) {
    const found = pattern.exec(text);
    if (found) {
      return <>{marked(text.slice(0, found.index))}{wrap(marked(found[1] ?? ''))}{marked(text.slice(found.index + found[0].length))}</>;
    }
  }
  return text;
}
