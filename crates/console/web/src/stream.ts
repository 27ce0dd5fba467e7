// Server-sent events out of text as it comes: in pieces that begin and end anywhere. Pure.

export interface Told {
  name: string;
  data: unknown;
}

/** Takes pieces of a stream, one after the other, and gives the events that are whole. Comments are passed over. */
export function reader(): (piece: string) => Told[] {
  let rest = '';
  return (piece) => {
    rest += piece.replace(/\r/g, '');
    const told: Told[] = [];
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const event = eventOf(rest.slice(0, end));
      if (event !== null) told.push(event);
      rest = rest.slice(end + 2);
    }
    return told;
  };
}

function eventOf(text: string): Told | null {
  let name = 'message';
  const data: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
  }
  if (data.length === 0) return null;
  try {
    return { name, data: JSON.parse(data.join('\n')) };
  } catch {
    // Not ours: whoever put it there, no page can show it.
    return null;
  }
}
