// What src/prefs.ts keeps, applied before the first paint so that no page flashes in the wrong theme or direction.
(() => {
  const root = document.documentElement;
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem('hudhud.preferences') ?? '{}');
  } catch {
    // Nothing kept, or storage is forbidden: the browser's own wishes hold.
  }
  const spoken = ['en', 'ar', 'es'];
  const wish = (navigator.languages ?? []).map((tag) => tag.slice(0, 2)).find((tag) => spoken.includes(tag));
  const language = spoken.includes(kept.language) ? kept.language : (wish ?? 'en');
  root.lang = language;
  root.dir = language === 'ar' ? 'rtl' : 'ltr';
  const dark = kept.theme === 'dark' || (kept.theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.setAttribute('data-mantine-color-scheme', dark ? 'dark' : 'light');
})();
