import { useTranslation } from 'react-i18next';

import { Card, Empty, Page } from '../ui/parts.tsx';
import { LinkButton } from '../ui/link.tsx';

export function Missing() {
  const { t } = useTranslation();
  return (
    <Page title={t('missing.title')} narrow>
      <Card><Empty icon="search" title={t('missing.what')} act={<LinkButton to="/">{t('nav.home')}</LinkButton>}>{t('missing.why')}</Empty></Card>
    </Page>
  );
}
