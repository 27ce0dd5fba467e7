import './mantine.css';
import './app.css';

import { DirectionProvider, MantineProvider, useDirection } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode, useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { useTranslation } from 'react-i18next';

import { directionOf, startLanguages } from './i18n.ts';
import { SignIn } from './pages/signin.tsx';
import { type Language, usePreferences } from './prefs.ts';
import { client } from './queries.ts';
import { router } from './router.tsx';
import { useIsSignedIn } from './session.ts';
import { theme, variables } from './theme.ts';
import { Told } from './ui/told.tsx';

function Themed() {
  const { theme: wanted } = usePreferences();
  const signedIn = useIsSignedIn();
  const scheme = wanted === 'auto' ? undefined : wanted;
  return (
    <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto" forceColorScheme={scheme}>
      <Turned />
      <Told />
      {signedIn ? <RouterProvider router={router} /> : <SignIn />}
    </MantineProvider>
  );
}

/** Turns Mantine round with the language. */
function Turned() {
  const { i18n } = useTranslation();
  const { setDirection } = useDirection();
  useEffect(() => {
    setDirection(directionOf(i18n.language as Language));
  }, [i18n.language, setDirection]);
  return null;
}

await startLanguages();
createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <DirectionProvider initialDirection={document.documentElement.dir === 'rtl' ? 'rtl' : 'ltr'}>
      <QueryClientProvider client={client}>
        <Themed />
      </QueryClientProvider>
    </DirectionProvider>
  </StrictMode>,
);
