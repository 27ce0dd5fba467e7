// What a stop covers: everything, all marketing, or the marketing of one brand or one business number.
import { NativeSelect } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useNumbers } from '../queries.ts';
import { useReaches } from './reaches.tsx';

/** A scope in words: `brand:NAME` by its name, `number:PHONE_NUMBER_ID` by the number's. */
export function useScope(): (scope: string | null | undefined) => string {
  const { t } = useTranslation();
  const numbers = useNumbers().data ?? [];
  return (scope) => {
    if (!scope) return '';
    const at = scope.indexOf(':');
    if (at < 0) return t(`scope.${scope}`, { defaultValue: scope });
    const [kind, id] = [scope.slice(0, at), scope.slice(at + 1)];
    const number = kind === 'number' ? numbers.find(({ phone_number_id }) => phone_number_id === id) : undefined;
    // Names of any letters stand in sentences of any direction.
    return t(`scope.${kind}`, { name: `\u2068${number?.verified_name || id}\u2069`, defaultValue: scope });
  };
}

/** What a stop of that scope forbids, as a verdict's first line. */
export function useForbidden(): (scope: string | null | undefined) => string {
  const { t } = useTranslation();
  return (scope) => t(!scope || scope === 'all' ? 'optouts.mayNot' : scope === 'marketing' ? 'optouts.mayNotMarketing' : 'optouts.mayNotPart');
}

/** How far stops reach that somebody of ours records, where they do not say. */
export function useUsualScope(): string {
  return useReaches().data?.find(({ way }) => way === 'manual')?.reach ?? 'all';
}

/** The choice of a scope: brands and numbers are those that Hudhud knows. */
export function ScopeChoice({ value, change }: { value: string; change: (scope: string) => void }) {
  const { t } = useTranslation();
  const words = useScope();
  const numbers = useNumbers().data ?? [];
  const brands = [...new Set(numbers.flatMap(({ brand }) => (brand ? [brand] : [])))].sort();
  const scopes = ['all', 'marketing', ...brands.map((brand) => `brand:${brand}`), ...numbers.map(({ phone_number_id }) => `number:${phone_number_id}`)];
  return (
    <NativeSelect label={t('optouts.scope')} description={t('scope.hint')} value={value} onChange={(event) => change(event.currentTarget.value)}
      data={scopes.map((each) => ({ value: each, label: words(each) }))} />
  );
}
