// Small pieces that every page is made of.
import { Button, Skeleton, Text, Title, Tooltip } from '@mantine/core';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { NO_ANSWER, Refusal } from '../api/client.ts';
import { useFormat } from '../format.ts';
import * as locale from '../locale.ts';
import { Icon, type IconName } from './icons.tsx';
import { Said } from './said.tsx';

export type Tone = 'calm' | 'good' | 'warn' | 'bad' | 'accent';

/** A phone number: isolated and left to right, so that no surrounding text reorders it. */
export function Phone({ number, raw = false }: { number: string | null | undefined; raw?: boolean }) {
  if (!number) return <span className="dim">—</span>;
  return <bdi dir="ltr" className="nowrap">{raw ? number : locale.phone(number)}</bdi>;
}

/** Ids, codes, names of files: never reordered, never in other digits. */
export function Ident({ children }: { children: ReactNode }) {
  return <bdi dir="ltr" className="mono break">{children}</bdi>;
}

/** A name that people gave: its own letters say which way it runs. */
export function Name({ children }: { children: ReactNode }) {
  return <bdi className="break">{children}</bdi>;
}

/** A cell of a file as it stands there. Digits of any script run from left to right where there are no letters. */
export function Cell({ children }: { children: string }) {
  const digits = !/\p{L}/u.test(children);
  return <bdi dir={digits ? 'ltr' : 'auto'} style={digits ? { unicodeBidi: 'isolate-override' } : undefined}>{children}</bdi>;
}

/** The name of a file: its ending stays behind it, whatever its letters. */
export function FileName({ children }: { children: ReactNode }) {
  return <bdi dir="ltr" className="break">{children}</bdi>;
}

export function Num({ children }: { children: number }) {
  return <>{useFormat().number(children)}</>;
}

export function Time({ at, withSeconds = false }: { at: string | null | undefined; withSeconds?: boolean }) {
  const format = useFormat();
  if (!at) return <span className="dim">—</span>;
  const utc = `${new Date(at).toISOString().replace('T', ' ').slice(0, 19)} UTC`;
  return (
    <Tooltip label={<bdi dir="ltr">{utc}</bdi>}>
      <time dateTime={at} className="nowrap">{format.time(at, withSeconds ? { timeStyle: 'medium' } : {})}</time>
    </Tooltip>
  );
}

export function State({ tone, icon, children }: { tone: Tone; icon: IconName; children: ReactNode }) {
  return <span className={`state ${tone}`}><Icon name={icon} size={14} />{children}</span>;
}

const SIGNS: Record<Tone, IconName> = { calm: 'info', good: 'check', warn: 'warning', bad: 'warning', accent: 'info' };

export function Notice({ tone = 'calm', children, live }: { tone?: Tone; children: ReactNode; live?: boolean }) {
  const role = live ? (tone === 'bad' ? 'alert' : 'status') : undefined;
  return <div className={`notice ${tone}`} role={role}><Icon name={SIGNS[tone]} /><div className="say">{children}</div></div>;
}

/** Where the browser came in, and whether another page was opened since. */
const entrance = window.location.pathname;
let hasMoved = false;

/**
 * The head of a page. Its heading takes the focus when the page is opened from another one, so that a screen reader
 * begins there; the page by which the browser came in begins at its top, with the way past the navigation.
 */
export function Page({ title, sub, acts, narrow, children }: {
  title: ReactNode; sub?: ReactNode; acts?: ReactNode; narrow?: boolean; children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  const words = typeof title === 'string' ? title : undefined;
  const [path] = useState(() => window.location.pathname);
  useEffect(() => {
    hasMoved ||= path !== entrance;
    if (hasMoved) heading.current?.focus({ preventScroll: true });
  }, [path]);
  useEffect(() => {
    document.title = words ? `${words} · Hudhud` : 'Hudhud';
  }, [words]);
  return (
    <div className={narrow ? 'page narrow' : 'page'} data-page={path}>
      <div className="pagehead">
        <div>
          <Title order={1} ref={heading} tabIndex={-1}>{title}</Title>
          {sub !== undefined && <div className="sub">{sub}</div>}
        </div>
        {acts !== undefined && <div className="acts">{acts}</div>}
      </div>
      {children}
    </div>
  );
}

export function Card({ title, aside, flush, children, id }: {
  title?: ReactNode; aside?: ReactNode; flush?: boolean; children: ReactNode; id?: string;
}) {
  return (
    <section className={flush ? 'card flush' : 'card'} id={id}>
      {title !== undefined && <div className="cardhead"><Title order={2}>{title}</Title>{aside}</div>}
      {children}
    </section>
  );
}

export function Fact({ label, value, note, tone }: { label: string; value: ReactNode; note?: ReactNode; tone?: Tone }) {
  return (
    <div className={`fact ${tone ?? ''}`}>
      <div className="label">{label}</div>
      <div className="value">{value}</div>
      {note !== undefined && <div className="note">{note}</div>}
    </div>
  );
}

export function Empty({ icon, title, children, act }: { icon: IconName; title: string; children?: ReactNode; act?: ReactNode }) {
  return (
    <div className="empty">
      <span className="dim"><Icon name={icon} size={30} /></span>
      <p className="title">{title}</p>
      {children !== undefined && <p>{children}</p>}
      {act}
    </div>
  );
}

/** A refusal in full: what happened, what is kept, what to do. */
export function ProblemNotice({ error, again }: { error: unknown; again?: () => void }) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    box.current?.focus({ preventScroll: false });
  }, [error]);
  if (error === null || error === undefined) return null;
  const refusal = error instanceof Refusal ? error : null;
  const silent = refusal === null || refusal.kind === NO_ANSWER;
  const problem = refusal?.problem;
  return (
    <div ref={box} tabIndex={-1} data-problem={refusal?.kind ?? 'unknown'}>
      <Notice tone="bad" live>
        <p className="strong">{silent ? t('problem.noAnswer.detail') : <Said>{problem?.detail}</Said>}</p>
        <p>{silent ? t('problem.noAnswer.kept') : <Said>{problem?.kept}</Said>}</p>
        <p>{silent ? t('problem.noAnswer.action') : <Said>{problem?.action}</Said>}</p>
        {problem?.request_id && <p className="tiny dim">{t('problem.request')} <Ident>{problem.request_id}</Ident></p>}
        {again && <p><Button variant="default" size="xs" onClick={again}>{t('act.again')}</Button></p>}
      </Notice>
    </div>
  );
}

/** What a question's answer looks like while it is awaited, and when there is none. */
export function Awaited<T>({ asked, rows = 4, children }: {
  asked: { data: T | undefined; error: unknown; refetch: () => unknown }; rows?: number; children: (data: T) => ReactNode;
}) {
  const { t } = useTranslation();
  if (asked.data !== undefined) {
    return (
      <>
        {asked.error != null && <Stale />}
        {children(asked.data)}
      </>
    );
  }
  if (asked.error != null) return <ProblemNotice error={asked.error} again={() => void asked.refetch()} />;
  return (
    <div className="card" role="status" aria-label={t('state.loading')}>
      {Array.from({ length: rows }, (_, row) => <Skeleton key={row} height={18} my={12} width={`${96 - ((row * 17) % 40)}%`} />)}
    </div>
  );
}

function Stale() {
  const { t } = useTranslation();
  return <div style={{ marginBlockEnd: 12 }}><Notice tone="warn" live><p>{t('state.stale')}</p></Notice></div>;
}

/** "As of 14:02:31", for everything that moves. */
export function AsOf({ at }: { at: number }) {
  const { t } = useTranslation();
  const format = useFormat();
  if (!at) return null;
  return <Text component="span" size="xs" c="dimmed" className="nowrap">{t('state.asOf', { time: format.clock(at) })}</Text>;
}

export function Meter({ parts, label }: { parts: { share: number; tone?: string }[]; label: string }) {
  const whole = Math.round(Math.min(1, parts.reduce((sum, part) => sum + part.share, 0)) * 100);
  return (
    <div className="meter" role="progressbar" aria-valuemin={0} aria-valuemax={100} aria-valuenow={whole} aria-label={label}>
      {parts.map((part, place) => (
        <span key={place} className={part.tone} style={{ inlineSize: `${Math.min(1, Math.max(0, part.share)) * 100}%` }} />
      ))}
    </div>
  );
}

/** A table in a box that scrolls by itself, so that the page does not; reachable by keyboard. */
export function Scroll({ label, children }: { label: string; children: ReactNode }) {
  return <div className="scroll" role="region" aria-label={label} tabIndex={0}>{children}</div>;
}
