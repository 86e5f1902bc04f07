// Names in SQL.

export type QualifiedName = { readonly schema: string; readonly name: string };

/** `orders` or `shop.orders`. */
export function qualifiedName(text: string): QualifiedName {
  const dot = text.indexOf('.');
  if (dot === -1) return { schema: 'public', name: text };
  return { schema: text.slice(0, dot), name: text.slice(dot + 1) };
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quotedName({ schema, name }: QualifiedName): string {
  return `${quoted(schema)}.${quoted(name)}`;
}
