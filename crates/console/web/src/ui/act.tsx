// Things that change something: asked for once, confirmed in words that cannot be misread, and refused in full.
import { Button, Group, Modal, Stack, TextInput } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { askAgain } from '../queries.ts';
import { ProblemNotice } from './parts.tsx';

export { said } from './told.tsx';

/** Does something once at a time, and keeps what it was refused with. */
export function useAct<A extends unknown[]>(does: (...given: A) => Promise<unknown>, then?: () => void) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  async function act(...given: A): Promise<boolean> {
    if (busy) return false;
    setBusy(true);
    setError(null);
    try {
      await does(...given);
      void askAgain();
      then?.();
      return true;
    } catch (refused) {
      setError(refused);
      return false;
    } finally {
      setBusy(false);
    }
  }
  return { act, busy, error, forget: () => setError(null) };
}

/**
 * A question before something is done. `yes` and `no` say what each does ("Stop the campaign", "Keep sending"): in
 * several languages "Cancel" alone would mean both.
 */
export function Confirm({ opened, close, title, children, yes, no, danger, does, ask, mustBe, valid = true }: {
  opened: boolean; close: () => void; title: string; children?: ReactNode; yes: string; no?: string; danger?: boolean;
  does: (text: string) => Promise<unknown>;
  /** Asks for a text as well, such as a reason. */
  ask?: { label: string; hint?: string; required?: boolean };
  /** The text must be exactly this. */
  mustBe?: string;
  valid?: boolean;
}) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const shut = () => {
    setText('');
    forget();
    close();
  };
  const { act, busy, error, forget } = useAct((given: string) => does(given), shut);
  const wanting = (ask?.required && text.trim() === '') || (mustBe !== undefined && text.trim() !== mustBe) || !valid;
  return (
    <Modal opened={opened} onClose={shut} title={title} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <form onSubmit={(event) => { event.preventDefault(); if (!wanting) void act(text.trim()); }}>
        <Stack gap="md">
          {children !== undefined && <div>{children}</div>}
          {ask && (
            <TextInput data-autofocus label={ask.label} description={ask.hint} value={text} required={ask.required}
              inputMode={mustBe === undefined ? undefined : 'numeric'} autoComplete="off" maxLength={200}
              onChange={(event) => setText(event.currentTarget.value)} />
          )}
          <ProblemNotice error={error} />
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={shut}>{no ?? t('act.notNow')}</Button>
            <Button type="submit" color={danger ? 'red.8' : undefined} loading={busy} disabled={wanting}>{yes}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
