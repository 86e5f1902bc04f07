// One page of an S3 listing (ListObjectsV2), out of its XML: three fields of each object, and where
// the next page starts. The document is flat and written by machines, so that no parser of XML in
// general is called for.

import type { BlobEntry } from '../../ports/blob-store.ts';

export type ListingPage = {
  readonly entries: readonly BlobEntry[];
  /** Null: the last page. */
  readonly next: string | null;
};

export function parseListing(xml: string): ListingPage {
  const entries = Array.from(xml.matchAll(/<Contents>(.*?)<\/Contents>/gs), ([, content]) => ({
    key: fieldOf(content!, 'Key') ?? '',
    bytes: Number(fieldOf(content!, 'Size')),
    modifiedMs: Date.parse(fieldOf(content!, 'LastModified') ?? ''),
  }));
  const head = xml.replaceAll(/<Contents>.*?<\/Contents>/gs, '');
  const isTruncated = fieldOf(head, 'IsTruncated') === 'true';
  return { entries, next: isTruncated ? fieldOf(head, 'NextContinuationToken') : null };
}

export function fieldOf(xml: string, name: string): string | null {
  const match = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml);
  return match === null ? null : decodeEntities(match[1]!);
}

const named: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

function decodeEntities(text: string): string {
  return text.replaceAll(/&(#x?)?(\w+);/g, (whole, number: string | undefined, value: string) => {
    if (number === undefined) return named[value] ?? whole;
    return String.fromCodePoint(Number.parseInt(value, number === '#' ? 10 : 16));
  });
}
