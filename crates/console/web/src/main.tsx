import './mantine.css';
import './app.css';

import { DirectionProvider, MantineProvider, useDirection } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { lazy, StrictMode, Suspense, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { useTranslation } from 'react-i18next';

import { directionOf, startLanguages, withWords } from './i18n.ts';
import { SignIn } from './pages/signin.tsx';
import { type Language, usePreferences } from './prefs.ts';
import { client } from './queries.ts';
import { router } from './router.tsx';
import { findSession, linkAsked, useIsSignedIn } from './session.ts';
import { theme, variables } from './theme.ts';
import { Told } from './ui/told.tsx';

/** Fetched by who follows a link, once in their life. */
const Welcome = lazy(() => withWords(import('./pages/welcome.tsx')).then((page) => ({ default: page.Welcome })));

function Themed() {
  const { theme: wanted } = usePreferences();
  const signedIn = useIsSignedIn();
  // A link comes first, also for somebody who is signed in: it may be another user's.
  const [link, setLink] = useState(linkAsked);
  const scheme = wanted === 'auto' ? undefined : wanted;
  return (
    <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto" forceColorScheme={scheme}>
      <Turned />
      <Told />
      {link ? <Suspense><Welcome link={link} done={() => setLink(null)} /></Suspense> : signedIn ? <RouterProvider router={router} /> : <SignIn />}
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

await Promise.all([startLanguages(), findSession()]);
createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <DirectionProvider initialDirection={document.documentElement.dir === 'rtl' ? 'rtl' : 'ltr'}>
      <QueryClientProvider client={client}>
        <Themed />
      </QueryClientProvider>
    </DirectionProvider>
  </StrictMode>,
);
