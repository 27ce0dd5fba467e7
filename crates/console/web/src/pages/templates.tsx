// Templates as Meta last showed them, each as its reader sees it.
import { Button, Select, Table, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Template } from '../api/client.ts';
import { languageName } from '../format.ts';
import { useAccounts, useMay, useTemplates } from '../queries.ts';
import { examplesOf, offersAWayOut } from '../template.ts';
import { said, useAct } from '../ui/act.tsx';
import { Bubble, componentsOf } from '../ui/bubble.tsx';
import { Icon } from '../ui/icons.tsx';
import { Awaited, Card, Empty, Ident, Name, Notice, Num, Page, ProblemNotice, Scroll, Time } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';
import { Quality, TemplateState } from '../ui/words.tsx';

export function Templates() {
  const { t } = useTranslation();
  const operates = useMay('operate');
  const administers = useMay('administer');
  const templates = useTemplates();
  const accounts = useAccounts().data ?? [];
  const [search, setSearch] = useState('');
  const [language, setLanguage] = useState<string | null>(null);
  const [open, setOpen] = useState<number | null>(null);
  const sync = useAct(() => answer(api.POST('/api/v1/accounts/sync')).then((report) => said(t('templates.synced', { count: report.accounts.reduce((sum, each) => sum + each.templates, 0) }))));
  return (
    <Page title={t('nav.templates')} sub={t('templates.sub')} acts={operates && accounts.length > 0 && <Button variant="default" loading={sync.busy} onClick={() => void sync.act()} leftSection={<Icon name="refresh" size={17} />}>{t('templates.sync')}</Button>}>
      <ProblemNotice error={sync.error} />
      <Awaited asked={templates}>{(data) => {
        if (data.length === 0) {
          return (
            <Card><Empty icon="message" title={t('templates.none')} act={accounts.length === 0 && administers ? <LinkButton to="/accounts">{t('begin.account.act')}</LinkButton> : undefined}>{t(accounts.length === 0 ? 'templates.noAccount' : 'templates.noneWhat')}</Empty></Card>
          );
        }
        const languages = [...new Set(data.map((each) => each.language))].sort();
        const shown = data.filter((each) => (language === null || each.language === language) && each.name.includes(search.trim().toLowerCase()));
        const chosen = shown.find(({ id }) => id === open) ?? shown[0];
        return (
          <>
            <div style={{ display: 'flex', flexWrap: 'wrap', gap: 10, marginBlockEnd: 12 }}>
              <TextInput data-search aria-label={t('templates.search')} placeholder={t('templates.search')} value={search} onChange={(event) => setSearch(event.currentTarget.value)} leftSection={<Icon name="search" size={17} />} style={{ flex: '1 1 200px', maxInlineSize: 320 }} />
              <Select aria-label={t('templates.language')} placeholder={t('templates.anyLanguage')} clearable value={language} onChange={setLanguage} data={languages.map((value) => ({ value, label: languageName(value) }))} w={200} />
            </div>
            <div className="columns">
              <Card flush>
                <Scroll label={t('nav.templates')}>
                  <Table highlightOnHover>
                    <Table.Caption>{t('nav.templates')}</Table.Caption>
                    <Table.Thead><Table.Tr><Table.Th>{t('templates.name')}</Table.Th><Table.Th>{t('templates.language')}</Table.Th><Table.Th>{t('campaigns.state')}</Table.Th><Table.Th>{t('templates.category')}</Table.Th></Table.Tr></Table.Thead>
                    <Table.Tbody>
                      {shown.map((each) => (
                        <Table.Tr key={each.id} bg={each.id === chosen?.id ? 'var(--accent-soft)' : undefined}>
                          <Table.Td><button type="button" className="linklike" aria-pressed={each.id === chosen?.id} onClick={() => setOpen(each.id)}><Ident>{each.name}</Ident></button></Table.Td>
                          <Table.Td className="small nowrap">{languageName(each.language)}</Table.Td>
                          <Table.Td><TemplateState state={each.status} /></Table.Td>
                          <Table.Td className="small">{t(`category.${each.category}`, { defaultValue: each.category })}</Table.Td>
                        </Table.Tr>
                      ))}
                    </Table.Tbody>
                  </Table>
                </Scroll>
                {shown.length === 0 && <Empty icon="search" title={t('campaigns.noMatch')} />}
              </Card>
              {chosen && <Chosen template={chosen} />}
            </div>
          </>
        );
      }}</Awaited>
    </Page>
  );
}

function Chosen({ template }: { template: Template }) {
  const { t } = useTranslation();
  const drafts = useMay('draft_campaigns');
  const body = componentsOf(template).find(({ type }) => type === 'BODY')?.text ?? '';
  const marketing = template.category === 'MARKETING';
  return (
    <Card title={<Ident>{template.name}</Ident>} aside={<TemplateState state={template.status} />}>
      <Bubble template={template} params={examplesOf(template.components)} columns={{}} />
      <dl className="pairs small" style={{ marginBlockStart: 14 }}>
        <dt>{t('templates.language')}</dt><dd>{languageName(template.language)} <Ident>{template.language}</Ident></dd>
        <dt>{t('templates.account')}</dt><dd><Name>{template.account}</Name></dd>
        <dt>{t('templates.quality')}</dt><dd><Quality quality={template.quality} /></dd>
        <dt>{t('templates.variables')}</dt><dd>{template.parameters.length === 0 ? t('templates.noVariables') : template.parameters.map((key, place) => <span key={key}>{place > 0 && ' · '}<Ident>{key}</Ident></span>)}</dd>
        <dt>{t('templates.length')}</dt><dd><Num>{[...body].length}</Num> / <Num>{1024}</Num></dd>
        <dt>{t('templates.read')}</dt><dd><Time at={template.synced_at} /></dd>
      </dl>
      {template.unsupported.length > 0 && <div style={{ marginBlockStart: 12 }}><Notice tone="bad"><p>{t('wizard.template.unsupported', { what: template.unsupported.join(', ') })}</p></Notice></div>}
      {marketing && !offersAWayOut(template.components) && <div style={{ marginBlockStart: 12 }}><Notice tone="warn"><p>{t('templates.noWayOut')}</p></Notice></div>}
      {drafts && template.status === 'APPROVED' && <LinkButton fullWidth mt="md" to="/campaigns/new" search={{ template: template.name, language: template.language }}>{t('templates.use')}</LinkButton>}
    </Card>
  );
}
