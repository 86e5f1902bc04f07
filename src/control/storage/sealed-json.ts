// JSON with a checksum of itself, in one canonical text: `{"checksum":"…","content":…}`. What does
// not match is never used, whatever it may look like.

import { assert } from '../../base/assert.ts';
import { canonicalJson } from '../../base/canonical-json.ts';
import { hashText } from '../../base/hash.ts';
import type { JsonValue } from '../../schema/data-type.ts';

export type Sealed = { readonly content: JsonValue; readonly checksum: string };

/** `content` is JSON: no NaN, no infinity, no bigint. */
export function sealJson(content: unknown): { bytes: Uint8Array; checksum: string } {
  const text = canonicalJson(content);
  const checksum = hashText(text);
  const whole = `{"checksum":"${checksum}","content":${text}}\n`;
  const bytes = new TextEncoder().encode(whole);
  assert('content' in unsealJson(bytes), 'what is sealed can be read again');
  return { bytes, checksum };
}

/** Or why the bytes are not what was sealed. */
export function unsealJson(bytes: Uint8Array): Sealed | { readonly problem: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { problem: 'it is not whole JSON' };
  }
  if (typeof parsed !== 'object' || parsed === null) return { problem: 'it is no object' };
  const { checksum, content } = parsed as { checksum?: unknown; content?: JsonValue };
  if (typeof checksum !== 'string' || content === undefined) {
    return { problem: 'it has no checksum' };
  }
  if (hashText(canonicalJson(content)) !== checksum) {
    return { problem: 'its checksum does not match' };
  }
  return { content, checksum };
}
