// The record of consent: every entry chained to the one before it, checked here or without Hudhud from an export.
import { Button, Group } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, download, type LedgerCheck, type LedgerHead } from '../api/client.ts';
import { format, useFormat } from '../format.ts';
import { useMay } from '../queries.ts';
import { useAct } from '../ui/act.tsx';
import { Icon } from '../ui/icons.tsx';
import { Card, Fact, Ident, Notice, Num, Page, ProblemNotice, Time } from '../ui/parts.tsx';

export function Ledger() {
  const { t } = useTranslation();
  const audits = useMay('audit');
  return (
    <Page title={t('ledger.title')} sub={t('ledger.what')}>
      {!audits ? <Notice tone="warn"><p>{t('ledger.notYours')}</p></Notice> : <div className="stack"><Check /><Head /><Copy /></div>}
    </Page>
  );
}

function Check() {
  const { t } = useTranslation();
  useFormat();
  const [checked, setChecked] = useState<{ result: LedgerCheck; at: number; seconds: number } | null>(null);
  const verify = useAct(async () => {
    const begun = performance.now();
    const result = await answer(api.POST('/api/v1/ledger/verify'));
    setChecked({ result, at: Date.now(), seconds: (performance.now() - begun) / 1000 });
  });
  const result = checked?.result;
  return (
    <Card title={t('ledger.check')} aside={<Button loading={verify.busy} onClick={() => void verify.act()} leftSection={<Icon name="ledger" size={17} />}>{t('ledger.verify')}</Button>}>
      <p className="small dim" style={{ marginBlock: 0 }}>{t('ledger.checkWhat')}</p>
      <div aria-live="polite" style={{ marginBlockStart: verify.error || result ? 14 : 0 }}>
        <ProblemNotice error={verify.error} />
        {result && (result.ok
          ? <Notice tone="good"><p className="strong">{t('ledger.whole', { count: result.entries })}</p></Notice>
          : <Notice tone="bad" live><p className="strong">{t('ledger.broken')} <Ident>{result.first_broken ?? '?'}</Ident></p><p>{t('ledger.brokenWhat', { count: result.entries })}</p></Notice>)}
        {checked && result && (
          <div className="facts" style={{ marginBlock: '14px 0' }}>
            <Fact label={t('ledger.entries')} value={<Num>{result.entries}</Num>} note={t('ledger.took', { at: format.clock(checked.at), span: format.number(checked.seconds, { maximumFractionDigits: 1 }) })} />
            <Fact label={t('ledger.evidence')} value={<Num>{result.evidence}</Num>} note={t('ledger.evidenceWhat')} />
            <Fact label={t('ledger.unsealed')} value={<Num>{result.unsealed}</Num>} note={t('ledger.unsealedWhat')} />
          </div>
        )}
        {result?.head && <p className="small" style={{ marginBlockEnd: 0 }}>{t('ledger.head')} <Ident>{result.head}</Ident></p>}
      </div>
    </Card>
  );
}

function Head() {
  const { t } = useTranslation();
  const [head, setHead] = useState<LedgerHead | null>(null);
  const sign = useAct(async () => setHead(await answer(api.POST('/api/v1/ledger/head'))));
  return (
    <Card title={t('ledger.signed')} aside={<Button variant="default" loading={sign.busy} onClick={() => void sign.act()} leftSection={<Icon name="edit" size={17} />}>{t('ledger.sign')}</Button>}>
      <p className="small dim" style={{ marginBlock: 0 }}>{t('ledger.signedWhat')}</p>
      <ProblemNotice error={sign.error} />
      {head && (
        <dl className="pairs small" style={{ marginBlockStart: 14 }}>
          <dt>{t('ledger.entries')}</dt><dd><Num>{head.entries}</Num></dd>
          <dt>{t('ledger.hash')}</dt><dd><Ident>{head.hash}</Ident></dd>
          <dt>{t('ledger.signedAt')}</dt><dd><Time at={head.signed_at} withSeconds /></dd>
          <dt>{t('ledger.signature')}</dt><dd><Ident>{head.signature}</Ident></dd>
          <dt>{t('ledger.key')}</dt><dd><Ident>{head.public_key}</Ident></dd>
        </dl>
      )}
    </Card>
  );
}

function Copy() {
  const { t } = useTranslation();
  const save = useAct(() => download('/api/v1/ledger/export', 'ledger.ndjson'));
  return (
    <Card title={t('ledger.export')} aside={<Button variant="default" loading={save.busy} onClick={() => void save.act()} leftSection={<Icon name="download" size={17} />}>{t('ledger.download')}</Button>}>
      <p className="small dim" style={{ marginBlockStart: 0 }}>{t('ledger.exportWhat')}</p>
      <Group><code className="cmd">hudhud ledger verify ledger.ndjson</code></Group>
      <ProblemNotice error={save.error} />
    </Card>
  );
}
