/** The browser's own time zone, by its name in the tz database. */
export const OWN_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
