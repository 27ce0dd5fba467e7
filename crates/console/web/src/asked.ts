// The person whom one page asks another about. Not in the address: that would be kept in the browser's history, and
// with it the number.
let asked: string | null = null;

export function askAbout(person: string): void {
  asked = person;
}

/** Whom the page before asked about; once. */
export function askedAbout(): string | null {
  const person = asked;
  asked = null;
  return person;
}
